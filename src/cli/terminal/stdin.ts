/** Standard input: as a pipe, or as a terminal in raw mode. */

import { isTerminal } from "#cli/terminal/is-terminal.ts";

export const isInputTerminal = (): Promise<boolean> => isTerminal(0);

export const pipedInput = (): AsyncIterable<Uint8Array> => Bun.stdin.stream();

/** Keys as they are pressed; `restore` gives the terminal back as it was. */
export interface RawInput {
  readonly keys: AsyncIterable<Uint8Array>;
  restore(): void;
}

export const rawInput = async (): Promise<RawInput> => {
  const { ReadStream } = await import("node:tty");
  const stream = new ReadStream(0);
  stream.setRawMode(true);
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
