/** A download into a file, or to standard output when that is no terminal. */
import { dirname } from "node:path";
import type { CliContext } from "#cli/context.ts";
import { exitError } from "#cli/framework/errors.ts";

/** Throws before anything is asked for: binary data does not go to a terminal. */
export const checkTarget = async (context: CliContext, path: string | undefined): Promise<void> => {
  if (path === undefined && (await context.output.isTerminal("stdout"))) {
    throw exitError(1, "cowardly refusing to save to a terminal. Use the -o flag or redirect");
  }
};

/** The file itself where `path` is a link to it; a device, pipe or socket is written to, never replaced. */
const findTarget = async (path: string): Promise<{ path: string; isReplaced: boolean }> => {
  const { realpath, stat } = await import("node:fs/promises");
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) {
    throw exitError(1, `invalid output path: "${path}" is a directory; name a file in it`);
  }
  if (found !== undefined) return { path: await realpath(path), isReplaced: found.isFile() };
  const parent = dirname(path);
  if ((await stat(parent).catch(() => undefined))?.isDirectory() !== true) {
    throw exitError(
      1,
      `invalid output path: directory "${parent}" does not exist; create it first`,
    );
  }
  return { path, isReplaced: true };
};

/** Of a file that says no more than what it was made of: what the umask leaves. */
export const PLAIN_MODE = 0o666;

/** A file that appears under its name when it is complete: one of `end` and `drop` is to be called. */
export const fileWriter = async (path: string, mode = PLAIN_MODE) => {
  const { open, rename, rm } = await import("node:fs/promises");
  const target = await findTarget(path);
  const temporary = target.isReplaced ? `${target.path}.${String(process.pid)}.tmp` : undefined;
  const file = await open(temporary ?? target.path, "w", mode);
  return {
    write: async (data: Uint8Array): Promise<void> => {
      for (let at = 0; at < data.length;) at += (await file.write(data, at)).bytesWritten;
    },
    end: async (): Promise<void> => {
      await file.close();
      if (temporary !== undefined) await rename(temporary, target.path);
    },
    drop: async (): Promise<void> => {
      await file.close();
      if (temporary !== undefined) await rm(temporary, { force: true });
    },
  };
};

/** What a container or a context holds is not for everyone to read. */
const OWN_MODE = 0o600;

export const saveStream = async (
  context: CliContext,
  body: AsyncIterable<Uint8Array>,
  path: string | undefined,
  mode = OWN_MODE,
): Promise<void> => {
  if (path === undefined) {
    for await (const chunk of body) await context.output.write("stdout", chunk);
    return;
  }
  const file = await fileWriter(path, mode);
  try {
    for await (const chunk of body) await file.write(chunk);
    await file.end();
  } catch (error) {
    await file.drop();
    throw error;
  }
};

/** A file or standard input as the body of an upload. */
export const uploadFrom = async (
  path: string | undefined,
  onProgress?: (bytes: number) => void,
): Promise<AsyncIterable<Uint8Array>> => {
  if (path !== undefined && path !== "-") {
    const { stat } = await import("node:fs/promises");
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) throw exitError(1, `open ${path}: no such file or directory`);
    if (found.isDirectory()) throw exitError(1, `read ${path}: is a directory`);
    const file = Bun.file(path);
    return counted(file.stream(), onProgress);
  }
  return counted(Bun.stdin.stream(), onProgress);
};

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  onProgress: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    onProgress?.(total);
    yield chunk;
  }
}
