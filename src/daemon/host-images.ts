/** Images made on this machine: naru/hello, and base images from the package mirror. */
import type { ImageBackend, ProgressMessage } from "#api/docker/backend.ts";
import type { Logger } from "#lib/log.ts";
import type { Rooms } from "#daemon/rooms.ts";
import { bootstrapImage } from "#image/bootstrap.ts";
import { HELLO_REFERENCE, buildHello } from "#image/hello.ts";

export const createHostImages = (
  rooms: Rooms,
  _log: Logger,
): Pick<ImageBackend, "hello" | "bootstrap"> => ({
  async *hello(signal: AbortSignal): AsyncGenerator<ProgressMessage> {
    if (rooms.images.find(HELLO_REFERENCE) !== undefined) {
      yield { status: `Status: Image is up to date for ${HELLO_REFERENCE}` };
      return;
    }
    yield { status: "Assembling naru/hello from this machine's busybox" };
    const id = await buildHello(rooms.images, signal);
    yield { status: `Digest: ${id}` };
    yield { status: `Status: Made ${HELLO_REFERENCE}` };
  },
  bootstrap: (reference, mirror, signal) =>
    bootstrapImage(rooms.images, { reference, mirror, signal }),
});
