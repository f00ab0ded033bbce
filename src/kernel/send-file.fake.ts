/** The kernel's own way of sending files, with a count of what went by it. */
import { type FileSender, fileSender } from "#kernel/send-file.ts";

/** `passedBytes` may be set to 0 again. */
export const countingSender = (): FileSender & { passedBytes: number } => {
  const counting = {
    ...fileSender,
    passedBytes: 0,
    send: (...args: Parameters<FileSender["send"]>): number => {
      const sent = fileSender.send(...args);
      counting.passedBytes += sent;
      return sent;
    },
  };
  return counting;
};
