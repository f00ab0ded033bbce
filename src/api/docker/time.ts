/**
 * Times in queries: seconds since the epoch with a fraction (what the CLI sends), RFC 3339 in its
 * shortened forms, or a Go duration counted back from now ("10m", "1h30m").
 */
import { nowNs, parseInstant } from "#lib/clock.ts";
import { parseDurationNs } from "#lib/duration.ts";
import { NaruError } from "#lib/errors.ts";

const SECOND_NS = 1_000_000_000n;
const DATE = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?)?(Z|z|[+-]\d\d:\d\d)?$/;

const parse = (text: string): bigint | undefined => {
  const unix = /^(-?\d{1,12})(?:\.(\d+))?$/.exec(text);
  if (unix !== null) {
    const fraction = (unix[2] ?? "").padEnd(9, "0").slice(0, 9);
    return BigInt(unix[1] ?? "0") * SECOND_NS + BigInt(fraction);
  }
  const duration = parseDurationNs(text);
  if (duration !== undefined) return nowNs() - duration;
  const date = DATE.exec(text);
  if (date === null) return undefined;
  const [, day = "", hour = "00", minute = "00", second = "00", fraction = "", zone = "Z"] = date;
  try {
    return parseInstant(`${day}T${hour}:${minute}:${second}${fraction.slice(0, 10)}${zone}`);
  } catch {
    return undefined;
  }
};

/** Nanoseconds since the epoch; undefined for "". Throws invalid_argument naming `parameter`. */
export const parseTime = (text: string, parameter: string): bigint | undefined => {
  if (text === "") return undefined;
  const time = parse(text);
  if (time === undefined) {
    throw new NaruError(
      "invalid_argument",
      `invalid value for "${parameter}": failed to parse value as time or duration: "${text}"`,
    );
  }
  return time;
};
