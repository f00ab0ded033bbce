/**
 * A file that cannot be executed (no program, no "#!", no interpreter) is found out when the process was let go.
 * crun says so in the container's own output and ends with 1, as programs do; runc, and so Docker, with 255.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { parseInstant } from "#lib/clock.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { ExitNotice } from "#runtime/runtime.ts";

const CRUN_FAILURE = 1;
const NEVER_RAN = 255;
const TAIL_BYTES = 4096;

const RECORD = /^(\S+) (?:stdout|stderr) [FP] (.*)$/;
/** On a terminal with a time stamp and in colour. */
const COMPLAINT =
  // oxlint-disable-next-line no-control-regex -- the colour's escape sequences
  /^(?:\x1b\[1;31m)?(?:\S+Z: )?exec container process (?:\(missing dynamic library\?\) )?`([^`]*)`: [A-Z][^`]*$/;

/** `tail`: the end of a log (conmon's "k8s-file"). Whether all that was said since is the runtime's complaint. */
export const isComplaint = (tail: string, startedAt: string): boolean => {
  const [before, last] = ["", ...tail.trimEnd().split("\n")]
    .slice(-2)
    .map((line) => RECORD.exec(line));
  if (last === null || last === undefined) return false;
  const isOfThisRun = (time = ""): boolean => parseInstant(time) >= parseInstant(startedAt);
  const isAlone = before === null || before === undefined || !isOfThisRun(before[1]);
  return isAlone && isOfThisRun(last[1]) && COMPLAINT.test(last[2] ?? "");
};

const tailOf = (path: string): string => {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const block = Buffer.alloc(Math.min(size, TAIL_BYTES));
    return block.toString("utf8", 0, readSync(fd, block, 0, block.length, size - block.length));
  } finally {
    closeSync(fd);
  }
};

/** The notice with the code that says so, where the program never ran. For a log that is whole. */
export const withTrueCode = (
  { logPath, state }: Pick<ContainerRecord, "logPath" | "state">,
  notice: ExitNotice,
): ExitNotice => {
  if (notice.exitCode !== CRUN_FAILURE || logPath === "") return notice;
  try {
    return isComplaint(tailOf(logPath), state.startedAt)
      ? { ...notice, exitCode: NEVER_RAN }
      : notice;
  } catch {
    // Rotated this very moment, not to be read, or no record: an end is told with the code that is known.
    return notice;
  }
};
