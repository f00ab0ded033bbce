/** Whether a descriptor is a terminal, mostly without node:tty: loading that takes two milliseconds. */

/** Linux, Documentation/admin-guide/devices.txt: Unix98 pseudo-terminals (`/dev/pts/N`), and /dev/null with its kin. */
const PSEUDO_TERMINALS = { first: 136, last: 143 };
const MEMORY_DEVICES = 1;

/** The major number in glibc's and the kernel's form of a device number. */
const majorOf = (device: number): number => Math.floor(device / 256) % 4096;

export const isTerminal = async (fd: 0 | 1 | 2): Promise<boolean> => {
  try {
    const stat = await Bun.file(fd).stat();
    if (!stat.isCharacterDevice()) return false;
    const major = majorOf(stat.rdev);
    if (major === MEMORY_DEVICES) return false;
    if (major >= PSEUDO_TERMINALS.first && major <= PSEUDO_TERMINALS.last) return true;
  } catch {
    // Closed: the system's own answer is the right one.
  }
  const { isatty } = await import("node:tty");
  return isatty(fd);
};
