/** What must be installed on this machine before a virtual machine can be made and started. */

interface Requirement {
  readonly program: string;
  readonly package: string;
  readonly use: string;
}

const REQUIREMENTS: readonly Requirement[] = [
  {
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
    use: "runs the virtual machine in software",
  },
  { program: "mmdebstrap", package: "mmdebstrap", use: "makes the machine's root from packages" },
  { program: "mke2fs", package: "e2fsprogs", use: "makes its disks without mounting them" },
];

/** Places of programs that are missing from the PATH of some shells. */
const SEARCH_PATH = [process.env["PATH"] ?? "", "/usr/sbin", "/sbin"].join(":");

/** What keeps the test from running, as lines to print; empty when nothing does. */
export const missingRequirements = (): readonly string[] => {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return [`the virtual machine is made for Linux on x86-64, this is ${process.arch}`];
  }
  const missing = REQUIREMENTS.filter(
    ({ program }) => Bun.which(program, { PATH: SEARCH_PATH }) === null,
  );
  const lines = missing.map(({ program, use }) => `"${program}" is not installed: it ${use}`);
  if (missing.length > 0) {
    const packages = missing.map((requirement) => requirement.package).join(" ");
    lines.push(`install it with: apt-get install -y --no-install-recommends ${packages}`);
  }
  if (process.geteuid?.() !== 0) {
    lines.push("not root: the files of the machine's root must belong to root; run it with sudo");
  }
  return lines;
};

/** A program's path; call after `missingRequirements` answered nothing. */
export const programPath = (program: string): string =>
  Bun.which(program, { PATH: SEARCH_PATH }) ?? program;
