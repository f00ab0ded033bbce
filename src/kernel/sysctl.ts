/** Kernel settings under /proc/sys, named with dots: `net.ipv4.ip_forward`. */
import { readFileSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { writeControlFile } from "#kernel/control-file.ts";
import { withErrno } from "#kernel/errno.ts";

/**
 * A name with slashes is taken as a path, so that interface names with dots can be said:
 * `net/ipv4/conf/eth0.5/forwarding`. The same rule as sysctl(8).
 */
const pathOf = (name: string): string => {
  const parts = name.split(name.includes("/") ? "/" : ".");
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new NaruError("invalid_argument", `"${name}" is not the name of a kernel setting`);
  }
  return `/proc/sys/${parts.join("/")}`;
};

/** The value without the closing newline. `not_found` when this kernel has no such setting. */
export const readSysctl = (name: string): string => {
  const path = pathOf(name);
  return withErrno("read", path, () => readFileSync(path, "utf8")).trimEnd();
};

/** Sets it at once, until the next boot. `invalid_argument` when the kernel refuses the value. */
export const writeSysctl = (name: string, value: string | number): void => {
  writeControlFile(pathOf(name), `${value}`);
};

/** Like `writeSysctl`, but answers whether anything had to change. */
export const ensureSysctl = (name: string, value: string | number): boolean => {
  if (readSysctl(name) === `${value}`) return false;
  writeSysctl(name, value);
  return true;
};
