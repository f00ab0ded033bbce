/** Standard input: as a pipe, or as a terminal in raw mode. */

import { isTerminal } from "#cli/terminal/is-terminal.ts";

export const isInputTerminal = (): Promise<boolean> => isTerminal(0);

export const pipedInput = (): AsyncIterable<Uint8Array> => Bun.stdin.stream();

/** Keys as they are pressed; `restore` gives the terminal back as it was. */
export interface RawInput {
  readonly keys: AsyncIterable<Uint8Array>;
  restore(): void;
}

/**
 * The runtime's raw mode still makes "\r\n" of each "\n" that is written. A container's terminal has
 * done so already, and programs that draw mean "one line down" by it: stty(1) takes that away as well.
 */
const passOutputOn = (): void => {
  try {
    Bun.spawnSync(["stty", "-opost"], { stdin: "inherit", stdout: "ignore", stderr: "ignore" });
  } catch {
    // A machine without coreutils: lines end twice, which most screens do not show.
  }
};

/** `isOutputRaw`: what is written goes to the screen as it is. Undo: `restore`. */
export const rawInput = async (isOutputRaw = false): Promise<RawInput> => {
  const { ReadStream } = await import("node:tty");
  const stream = new ReadStream(0);
  stream.setRawMode(true);
  if (isOutputRaw) passOutputOn();
  return {
    keys: stream,
    restore: () => {
      stream.setRawMode(false);
      stream.destroy();
    },
  };
};

/** Rows and columns, undefined when no standard stream is a terminal. */
export const terminalSize = async (): Promise<{ rows: number; columns: number } | undefined> => {
  const { isatty, WriteStream } = await import("node:tty");
  const fd = [1, 0, 2].find((candidate) => isatty(candidate));
  if (fd === undefined) return undefined;
  const [columns, rows] = new WriteStream(fd).getWindowSize();
  return { rows, columns };
};
