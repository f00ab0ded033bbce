/** Instants as docker's lists show them. */
import { humanDuration } from "#cli/format/units.ts";

/** "2026-11-22 17:24:03 +0000 UTC", in the local zone. */
export const formatLocal = (date: Date): string => {
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? "-" : "+";
  const two = (value: number): string => String(Math.trunc(value)).padStart(2, "0");
  const zone = `${sign}${two(Math.abs(offset) / 60)}${two(Math.abs(offset) % 60)}`;
  const day = `${String(date.getFullYear())}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time} ${zone} ${offset === 0 ? "UTC" : zoneName(date)}`;
};

const zoneName = (date: Date): string =>
  new Intl.DateTimeFormat("en-US", { timeZoneName: "short" })
    .formatToParts(date)
    .find((part) => part.type === "timeZoneName")?.value ?? "";

/** An instant of RFC 3339 in UTC, in Go's words: "2026-11-22 17:24:03.5 +0000 UTC". */
export const formatUtc = (instant: string): string =>
  instant.replace(
    /^([-0-9]+)T([0-9:]+)(?:\.(\d*?)0*)?Z$/,
    (_, day: string, time: string, fraction = "") =>
      `${day} ${time}${fraction === "" ? "" : `.${String(fraction)}`} +0000 UTC`,
  );

/** "3 minutes ago", from seconds since the epoch. */
export const ago = (epochSeconds: number): string =>
  `${humanDuration(Date.now() / 1000 - epochSeconds)} ago`;

/** "" and Docker's zero time are no time at all. */
export const isZeroTime = (instant: string): boolean =>
  instant === "" || instant.startsWith("0001-01-01");
