/** The kernel's own way of sending files, with a count of what went by it. */
import { type FileSender, fileSender } from "#kernel/send-file.ts";

/** `passedBytes` may be set to 0 again. */
export const countingSender = (): FileSender & { passedBytes: number } => {
  const counted =
    (send: FileSender["send"]): FileSender["send"] =>
    (...args) => {
      const sent = send(...args);
      counting.passedBytes += sent;
      return sent;
    };
  const counting = {
    ...fileSender,
    passedBytes: 0,
    send: counted((...args) => fileSender.send(...args)),
    sendCopy: counted((...args) => fileSender.sendCopy(...args)),
  };
  return counting;
};
