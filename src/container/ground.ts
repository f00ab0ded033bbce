/**
 * What lies below the layers of every container: places for what is mounted in each, and two things that programs look
 * for and images are without. Where the image has something of the name, that is seen. One directory for all, so a
 * container writes none of it into its own layer, and a runtime has nothing to make there.
 */
import { chmodSync, existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { removeDirectory } from "#lib/remove-directory.ts";

const DIRECTORIES = ["dev", "etc", "proc", "sys"];
/** Programs look for `.dockerenv` to learn that they run in a container; the others are mounted upon. */
const FILES = [".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf"];
/** Older programs (Java 8 among them) read this to learn what is mounted. */
const LINKS = [["etc/mtab", "/proc/mounts"]] as const;

/** Its content never changes, for containers stand on it: other content would have another name. */
const NAME = "ground";

/** Returns the directory; makes it where it is missing, whole or not at all. */
export const ensureGround = (dataRoot: string): string => {
  const path = `${dataRoot}/${NAME}`;
  if (existsSync(path)) return path;
  const half = `${path}.new`;
  removeDirectory(half);
  for (const name of ["", ...DIRECTORIES]) mkdirSync(`${half}/${name}`);
  for (const name of FILES) writeFileSync(`${half}/${name}`, "");
  // Whatever the daemon's umask is.
  for (const name of ["", ...DIRECTORIES, ...FILES]) chmodSync(`${half}/${name}`, 0o755);
  for (const [name, target] of LINKS) symlinkSync(target, `${half}/${name}`);
  renameSync(half, path);
  return path;
};
