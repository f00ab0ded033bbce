/** Times as Docker's clients write them: unix seconds, durations back from now, RFC 3339 and parts of it. */
import { parseInstant } from "#lib/clock.ts";
import { parseDurationNs } from "#lib/duration.ts";
import { NaruError } from "#lib/errors.ts";

/** "2026-11-22", "2026-11-22T10", "…T10:05" and "…T10:05:07[.fff]", with or without zone. */
const completeInstant = (text: string): string | undefined => {
  const match =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,9})?))?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, day, hour = "00", minute = "00", second = "00", zone = "Z"] = match;
  return `${day}T${hour}:${minute}:${second}${zone}`;
};

/** Nanoseconds since the epoch. Throws invalid_argument. */
export const parseTimestamp = (text: string, nowNs: bigint): bigint => {
  const seconds = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (seconds !== null) {
    return BigInt(seconds[1] ?? 0) * 1_000_000_000n + BigInt((seconds[2] ?? "").padEnd(9, "0"));
  }
  const duration = parseDurationNs(text);
  if (duration !== undefined) return nowNs - duration;
  const instant = completeInstant(text);
  if (instant !== undefined) return parseInstant(instant);
  throw new NaruError(
    "invalid_argument",
    `invalid time "${text}": expected unix seconds, a duration such as 10m, or RFC 3339`,
  );
};
