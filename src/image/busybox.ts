/** The host's static busybox: found, checked, and asked for its applets. */
import { readFileSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";

export interface Busybox {
  readonly bytes: Uint8Array;
  /** "bin/ls", "usr/sbin/httpd"; sorted. */
  readonly applets: readonly string[];
}

const CANDIDATES: readonly string[] = ["/bin/busybox", "/usr/bin/busybox"];
const REMEDY = 'install it with "apt-get install busybox-static"';
const APPLET = /^(?:usr\/)?s?bin\/[A-Za-z0-9_.[-]{1,40}$/;
const PT_INTERP = 3;

/** elf(5): a program with an interpreter segment needs shared libraries. */
export const isStaticElf = (bytes: Uint8Array): boolean => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64 || view.getUint32(0) !== 0x7f454c46) return false;
  const is64 = bytes[4] === 2;
  const isLittle = bytes[5] === 1;
  const offset = is64 ? Number(view.getBigUint64(32, isLittle)) : view.getUint32(28, isLittle);
  const entryBytes = view.getUint16(is64 ? 54 : 42, isLittle);
  const count = view.getUint16(is64 ? 56 : 44, isLittle);
  if (entryBytes < 4 || offset + count * entryBytes > bytes.length) return false;
  for (let index = 0; index < count; index += 1) {
    if (view.getUint32(offset + index * entryBytes, isLittle) === PT_INTERP) return false;
  }
  return true;
};

const readIfThere = (path: string): Uint8Array | undefined => {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};

const appletsOf = async (path: string): Promise<string[]> => {
  const child = Bun.spawn([path, "--list-full"], { stdout: "pipe", stderr: "pipe" });
  const [text, complaint, exit] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (exit !== 0) {
    throw new NaruError("failed_precondition", `"${path}" does not run here: ${complaint.trim()}`);
  }
  return text
    .split("\n")
    .filter((applet) => APPLET.test(applet))
    .toSorted();
};

/** Throws failed_precondition with the remedy. */
export const findBusybox = async (candidates = CANDIDATES): Promise<Busybox> => {
  for (const path of candidates) {
    const bytes = readIfThere(path);
    if (bytes === undefined) continue;
    if (!isStaticElf(bytes)) {
      throw new NaruError(
        "failed_precondition",
        `naru/hello is made from the host's static busybox, but "${path}" needs shared libraries: ${REMEDY}`,
      );
    }
    const applets = await appletsOf(path);
    if (!applets.some((applet) => applet.endsWith("/httpd"))) {
      throw new NaruError("failed_precondition", `"${path}" has no httpd applet: ${REMEDY}`);
    }
    return { bytes, applets };
  }
  throw new NaruError(
    "failed_precondition",
    `naru/hello is made from the host's static busybox, and there is none: ${REMEDY}`,
  );
};
