/**
 * A read-only bind mount of crun. crun protects its own file from the container (CVE-2019-5736) by
 * copying itself and executing the copy at every call, which costs 3 to 4 ms; it leaves that out when
 * its file lies on a read-only mount, which protects it just as well (crun cloned_binary.c).
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import type { MountKernel } from "#kernel/kernel.ts";

export interface ProtectedBinary extends Disposable {
  readonly path: string;
}

/** Disposing unmounts it. A mount that a dead daemon left is replaced: the binary may be a newer one. */
export const protectBinary = (
  kernel: MountKernel,
  binary: string,
  directory: string,
): ProtectedBinary => {
  const path = `${directory}/${basename(binary)}`;
  const remove = (): void => {
    kernel.unmount(path);
    rmSync(path, { force: true });
  };
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  remove();
  writeFileSync(path, "", { mode: 0o500 });
  kernel.mount(binary, path, "", ["bind"]);
  try {
    kernel.mount("", path, "", ["private"]);
    kernel.mount("", path, "", ["remount", "bind", "ro", "nosuid", "nodev"]);
  } catch (error) {
    remove();
    throw error;
  }
  return { path, [Symbol.dispose]: remove };
};
