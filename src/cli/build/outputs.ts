/** `--output`: what was built as files on this machine. */
import type { CliContext } from "#cli/context.ts";
import type { Output } from "#cli/build/inputs.ts";
import { unpackInto } from "#cli/build/unpack.ts";
import { checkTarget, PLAIN_MODE, saveStream } from "#cli/terminal/save-stream.ts";
import type { Client } from "#client/client.ts";

interface Built {
  readonly imageId: string;
  readonly tags: readonly string[];
}

const unpack = async (body: AsyncIterable<Uint8Array>, directory: string): Promise<void> => {
  const failure = `could not unpack into "${directory}"`;
  const writer = unpackInto(directory, { keepsModes: true, failure });
  try {
    for await (const chunk of body) await writer.write(chunk);
  } catch (error) {
    await writer.drop();
    throw error;
  }
  await writer.end();
};

/** Throws before any work: an archive does not go to a terminal. */
export const checkOutputs = async (
  context: CliContext,
  outputs: readonly Output[],
): Promise<void> => {
  const isPiped = outputs.some(({ type, destination }) => type !== "image" && destination === "-");
  if (isPiped) await checkTarget(context, undefined);
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
  if (type === "tar") {
    const { body } = await client.call("imageTree", { id });
    return await saveStream(context, body, path, PLAIN_MODE);
  }
  // One archive is both: an OCI layout and what `docker load` reads.
  const names = built.tags.length === 0 ? [id] : built.tags;
  const { body } = await client.call("imageSave", { query: { names } });
  await saveStream(context, body, path, PLAIN_MODE);
};
