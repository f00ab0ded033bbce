/** `--output`: what was built as files on this machine. */
import type { CliContext } from "#cli/context.ts";
import type { Output } from "#cli/build/inputs.ts";
import { checkTarget, saveStream } from "#cli/terminal/save-stream.ts";
import type { Client } from "#client/client.ts";
import { NaruError } from "#lib/errors.ts";

interface Built {
  readonly imageId: string;
  readonly tags: readonly string[];
}

/** GNU tar keeps owners, links and modes. */
const unpack = async (body: AsyncIterable<Uint8Array>, directory: string): Promise<void> => {
  const { mkdirSync } = await import("node:fs");
  mkdirSync(directory, { recursive: true });
  const child = Bun.spawn(["tar", "-x", "-p", "-f", "-", "-C", directory], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "pipe",
  });
  try {
    for await (const chunk of body) {
      await child.stdin.write(chunk);
      await child.stdin.flush();
    }
  } catch (error) {
    // A tar that gave up says why itself.
    if (Reflect.get(Object(error), "code") !== "EPIPE") throw error;
  }
  await child.stdin.end();
  const [exitCode, complaint] = await Promise.all([child.exited, child.stderr.text()]);
  if (exitCode === 0) return;
  throw new NaruError("internal", `could not unpack into "${directory}": ${complaint.trim()}`);
};

/** An image is in the engine already. */
export const writeOutput = async (
  context: CliContext,
  client: Client,
  { type, destination }: Output,
  built: Built,
): Promise<void> => {
  if (destination === undefined || type === "image") return;
  const path = destination === "-" ? undefined : destination;
  const id = built.imageId;
  if (type === "local") {
    const { body } = await client.call("imageTree", { id });
    return await unpack(body, destination);
  }
  await checkTarget(context, path);
  if (type === "tar") {
    const { body } = await client.call("imageTree", { id });
    return await saveStream(context, body, path);
  }
  // One archive is both: an OCI layout and what `docker load` reads.
  const names = built.tags.length === 0 ? [id] : built.tags;
  const { body } = await client.call("imageSave", { query: { names } });
  await saveStream(context, body, path);
};
