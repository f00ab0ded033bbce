/** A tar as files of this machine, by GNU tar: it keeps links. */
import type { PieceWriter } from "#cli/build/piece-writers.ts";
import { NaruError } from "#lib/errors.ts";
import { lateFs } from "#lib/late-builtins.ts";

export interface UnpackOptions {
  /** Modes and, for root, owners stay as they are in the tar. */
  readonly keepsModes: boolean;
  /** Begins the error: "could not unpack into …". */
  readonly failure: string;
}

/** Makes the directory. `end` throws internal with what tar complained of. */
export const unpackInto = (
  directory: string,
  { keepsModes, failure }: UnpackOptions,
): PieceWriter => {
  lateFs().mkdirSync(directory, { recursive: true });
  const modes = keepsModes ? ["-p"] : [];
  const child = Bun.spawn(["tar", "-x", ...modes, "-f", "-", "-C", directory], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "pipe",
  });
  return {
    write: async (data) => {
      try {
        await child.stdin.write(data);
        await child.stdin.flush();
      } catch (error) {
        // A tar that gave up says why itself, at the end.
        if (Reflect.get(Object(error), "code") !== "EPIPE") throw error;
      }
    },
    end: async () => {
      await child.stdin.end();
      const [code, complaint] = await Promise.all([child.exited, child.stderr.text()]);
      if (code !== 0) throw new NaruError("internal", `${failure}: ${complaint.trim()}`);
    },
    drop: async () => {
      child.kill();
      await child.exited;
    },
  };
};
