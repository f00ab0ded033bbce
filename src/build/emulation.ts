/** Programs of other architectures: run where the kernel was told by what (binfmt_misc, binfmt.d(5)). */
import { readFileSync, readdirSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { HOST_PLATFORM, type Platform, formatPlatform } from "#spec/image/platform.ts";

const BINFMT = "/proc/sys/fs/binfmt_misc";

/** Architectures that the host's own processor runs besides its own. */
const NATIVE: Readonly<Record<string, readonly string[]>> = {
  amd64: ["386"],
  arm64: ["arm"],
  ppc64: ["ppc"],
};

/** qemu's names, where they differ from Go's. */
const QEMU: Readonly<Record<string, string>> = {
  amd64: "x86_64",
  386: "i386",
  arm64: "aarch64",
  loong64: "loongarch64",
  mips64le: "mips64el",
  mipsle: "mipsel",
};

/** e_machine of ELF(5), as the first bytes of a rule's magic have it at offset 18. */
const MACHINES: Readonly<Record<string, string>> = {
  amd64: "3e00",
  386: "0300",
  arm64: "b700",
  arm: "2800",
  riscv64: "f300",
  ppc64le: "1500",
  s390x: "0016",
  loong64: "0201",
};

const MACHINE_OFFSET = 18;

/** An enabled rule for the architecture that holds its interpreter open (F): it works in every root. */
const isRuleFor = (text: string, name: string, architecture: string): boolean => {
  if (!/^enabled$/m.test(text) || !/^flags: \S*F/m.test(text)) return false;
  if (name === `qemu-${QEMU[architecture] ?? architecture}`) return true;
  const magic = /^magic ([0-9a-f]+)$/m.exec(text)?.[1] ?? "";
  const offset = Number(/^offset (\d+)$/m.exec(text)?.[1] ?? "0");
  const machine = MACHINES[architecture];
  const at = MACHINE_OFFSET * 2;
  return offset === 0 && machine !== undefined && magic.slice(at, at + 4) === machine;
};

/** `directory`: where the kernel lists its rules. */
export const canRun = ({ os, architecture }: Platform, directory = BINFMT): boolean => {
  if (os !== HOST_PLATFORM.os) return false;
  const host = HOST_PLATFORM.architecture;
  if (architecture === host || NATIVE[host]?.includes(architecture) === true) return true;
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => name !== "register" && name !== "status");
  } catch {
    // Not mounted: the host has none.
    return false;
  }
  return names.some((name) =>
    isRuleFor(readFileSync(`${directory}/${name}`, "utf8"), name, architecture),
  );
};

/** Throws failed_precondition with the remedy. */
export const checkCanRun = (platform: Platform): void => {
  if (canRun(platform)) return;
  const [wanted, host] = [formatPlatform(platform), formatPlatform(HOST_PLATFORM)];
  throw new NaruError(
    "failed_precondition",
    `RUN for ${wanted} cannot run on this ${host} machine: install emulation (apt-get install qemu-user-static binfmt-support, or docker run --privileged --rm tonistiigi/binfmt --install all), or do this step in a stage with FROM --platform=$BUILDPLATFORM and copy its result`,
  );
};
