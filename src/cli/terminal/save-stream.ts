/** A download into a file, or to standard output when that is no terminal. */
import type { CliContext } from "#cli/context.ts";
import { exitError } from "#cli/framework/errors.ts";

/** Throws before anything is asked for: binary data does not go to a terminal. */
export const checkTarget = async (context: CliContext, path: string | undefined): Promise<void> => {
  if (path === undefined && (await context.output.isTerminal("stdout"))) {
    throw exitError(1, "cowardly refusing to save to a terminal. Use the -o flag or redirect");
  }
};

/** A file that appears under its name when it is complete: one of `end` and `drop` is to be called. */
export const fileWriter = async (path: string) => {
  const { open, rename, rm } = await import("node:fs/promises");
  const temporary = `${path}.${String(process.pid)}.tmp`;
  const file = await open(temporary, "w");
  return {
    write: async (data: Uint8Array): Promise<void> => {
      await file.write(data);
    },
    end: async (): Promise<void> => {
      await file.close();
      await rename(temporary, path);
    },
    drop: async (): Promise<void> => {
      await file.close();
      await rm(temporary, { force: true });
    },
  };
};

export const saveStream = async (
  context: CliContext,
  body: AsyncIterable<Uint8Array>,
  path: string | undefined,
): Promise<void> => {
  if (path === undefined) {
    for await (const chunk of body) await context.output.write("stdout", chunk);
    return;
  }
  const file = await fileWriter(path);
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
    const file = Bun.file(path);
    if (!(await file.exists())) throw exitError(1, `open ${path}: no such file or directory`);
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
