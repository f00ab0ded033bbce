/** Which start of the machine this is: what was not flushed is gone after the next (random(4), "boot_id"). */
import { readFileSync } from "node:fs";

let known: string | undefined;

export const bootId = (): string => {
  known ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return known;
};
