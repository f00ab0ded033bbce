/** Amounts as people write them in compose files: bytes and durations. */
import { parseLongDurationNs } from "#lib/duration.ts";

const BYTE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** "1.5g", "64mb", "12 KiB", 1024; undefined when it is no amount. "-1" is unlimited. */
export const parseBytes = (text: string): number | undefined => {
  const match = /^(-1|\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  const unit = BYTE_UNITS[match?.[2]?.toLowerCase() ?? ""];
  if (match === null || unit === undefined) return undefined;
  return Math.trunc(Number(match[1]) * unit);
};

/** Nanoseconds of "1m30s", "1.5h", "2d"; undefined when it is no duration. */
export const parseDuration = (text: string): number | undefined => {
  const ns = parseLongDurationNs(text);
  return ns === undefined || ns < 0n ? undefined : Number(ns);
};
