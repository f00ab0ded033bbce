/** Images made on this machine, with the progress lines a client of `pull` understands. */
import type { ImageBackend, ProgressMessage } from "#api/docker/backend.ts";
import { Broadcaster } from "#lib/broadcaster.ts";
import type { Images } from "#image/image.ts";

const HELLO = "naru/hello:latest";

async function* hello(images: Images): AsyncGenerator<ProgressMessage> {
  if (images.find(HELLO) !== undefined) {
    yield { status: `Status: Image is up to date for ${HELLO}` };
    return;
  }
  yield { status: "Assembling naru/hello from this machine's busybox" };
  const id = await images.provide(HELLO);
  if (id !== undefined) yield { status: `Digest: ${id}` };
  yield { status: `Status: Made ${HELLO}` };
}

/** The bootstrap tool's lines as they come, then the new image's name. */
async function* bootstrap(
  images: Images,
  target: string,
  mirror: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  const lines = new Broadcaster<string>();
  const done = new AbortController();
  const watched = lines.subscribe(AbortSignal.any([signal, done.signal]));
  const made = images
    .bootstrap(target, {
      signal,
      onLine: (line) => lines.publish(line),
      ...(mirror === undefined ? {} : { mirror }),
    })
    .finally(() => done.abort());
  made.catch(() => undefined); // awaited below, after the lines
  for await (const line of watched) yield { status: line };
  yield { status: `Digest: ${await made}` };
  yield { status: `Status: Made ${target}` };
}

export const createHostImages = (images: Images): Pick<ImageBackend, "hello" | "bootstrap"> => ({
  hello: () => hello(images),
  bootstrap: (target, mirror, signal) => bootstrap(images, target, mirror, signal),
});
