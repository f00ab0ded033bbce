/** --since and --until: instants, seconds since the epoch, or "10m" ago. */
import { parseDuration } from "#cli/format/units.ts";
import { usageError } from "#cli/framework/errors.ts";
import { parseInstant } from "#lib/clock.ts";

const SECOND_NS = 1_000_000_000n;

const asSeconds = (ns: bigint): string => {
  const fraction = String(ns % SECOND_NS).padStart(9, "0");
  return `${String(ns / SECOND_NS)}.${fraction}`;
};

const isoFor = (text: string): string | undefined => {
  const match =
    /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?)?([Zz]|[+-]\d\d:\d\d)?$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, day = "", hour = "00", minute = "00", second = "00", fraction = "", zone] = match;
  const local = `${day}T${hour}:${minute}:${second}`;
  if (zone !== undefined) return `${local}${fraction}${zone}`;
  // Without a zone the local one is meant.
  return `${new Date(local).toISOString().slice(0, 19)}${fraction}Z`;
};

/** "1700000000.000000000", as the API wants it. Throws a usage error. */
export const parseMoment = (text: string): string => {
  if (/^\d+(\.\d{1,9})?$/.test(text)) return text;
  const iso = isoFor(text);
  try {
    if (iso !== undefined) return asSeconds(parseInstant(iso));
    return asSeconds(BigInt(Date.now()) * 1_000_000n - BigInt(parseDuration(text)));
  } catch (cause) {
    throw usageError(
      `failed to parse value as time or duration: ${JSON.stringify(text)}; ` +
        'give an instant ("2026-01-02T15:04:05Z") or a time ago ("10m")',
      cause,
    );
  }
};
