/**
 * crun tells the terminal of an exec, once there is one, why the program cannot run; nobody reads that terminal then, and
 * it goes with its process. The usual reasons are looked up where that has happened.
 */
import { constants, fstatSync } from "node:fs";
import { posix } from "node:path";
import { hasCode } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import type { RuntimeProcess } from "#spec/runtime/config.ts";

const O_PATH = 0o10000000;
type Found = "executable" | "denied" | "missing";

const find = (
  kernel: Pick<FileKernel, "openInRoot" | "close">,
  root: string,
  path: string,
): Found => {
  let fd: number;
  try {
    fd = kernel.openInRoot(root, path, O_PATH);
  } catch (error) {
    return hasCode(error, "not_found") ? "missing" : "denied";
  }
  try {
    const { mode } = fstatSync(fd);
    const isFile = (mode & constants.S_IFMT) === constants.S_IFREG;
    return isFile && (mode & 0o111) !== 0 ? "executable" : "denied";
  } finally {
    kernel.close(fd);
  }
};

/** In the runtime's words; undefined where the program is there and may be executed. `root`: as the process would see it. */
export const unsaidFailure = (
  kernel: Pick<FileKernel, "openInRoot" | "close">,
  root: string,
  { args, cwd, env }: Pick<RuntimeProcess, "args" | "cwd" | "env">,
): string | undefined => {
  const [name = ""] = args;
  if (name.includes("/")) {
    const found = find(kernel, root, posix.resolve(cwd, name));
    if (found === "executable") return undefined;
    return `open executable: ${found === "missing" ? "No such file or directory" : "Permission denied"}`;
  }
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? "";
  const isThere = path
    .split(":")
    .some((folder) => find(kernel, root, posix.resolve(cwd, folder, name)) === "executable");
  return isThere ? undefined : `executable file \`${name}\` not found in $PATH`;
};
