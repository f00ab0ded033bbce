/** pread(2) off the engine's thread. */
import { read } from "node:fs";

/** Bytes read into `block` from `start` on; 0 at the end of the file. */
export const readAt = (
  fd: number,
  block: Uint8Array,
  start: number,
  length: number,
  position: number,
): Promise<number> =>
  new Promise((resolve, reject) => {
    read(fd, block, start, length, position, (error, bytesRead) => {
      if (error === null) resolve(bytesRead);
      else reject(error);
    });
  });
