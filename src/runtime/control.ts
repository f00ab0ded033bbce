/** conmon's control FIFO `<bundle>/ctl`: "1 H W" resizes the terminal, "2" opens the log anew. */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";

export const writeControl = (bundle: string, line: string): void => {
  let fd: number;
  try {
    // Non-blocking: without conmon at the other end the open fails (ENXIO) instead of waiting.
    fd = openSync(`${bundle}/ctl`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new NaruError(
      "conflict",
      "the process has ended: there is no terminal or log to control",
      { cause },
    );
  }
  try {
    writeSync(fd, line);
  } finally {
    closeSync(fd);
  }
};
