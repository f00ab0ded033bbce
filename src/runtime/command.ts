/** A short command of an OCI runtime, such as its "delete". */
import type { Libraries } from "#runtime/lean-libraries.ts";

export interface RuntimeProgram {
  readonly runtime: string;
  readonly libraries: Libraries;
}

/**
 * Resolves when it has ended. Its environment is not this process's: a runtime that finds a service manager's
 * NOTIFY_SOCKET there offers it to the container and waits for its word.
 */
export const runCommand = async (
  { runtime, libraries }: RuntimeProgram,
  args: readonly string[],
): Promise<{ code: number; stderr: string }> => {
  const child = Bun.spawn({
    cmd: [runtime, ...args],
    env: libraries.env(),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  return { code, stderr: stderr.trim() };
};
