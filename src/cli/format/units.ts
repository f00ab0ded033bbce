/** Sizes and durations as docker shows and reads them. */
import { parseDurationNs } from "#lib/duration.ts";

const DECIMAL = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Go's %.Ng: that many significant digits, no trailing zeros. */
const significant = (value: number, digits: number): string =>
  String(Number(value.toPrecision(digits)));

const scaled = (size: number, base: number, units: readonly string[], digits: number): string => {
  let value = size;
  let at = 0;
  while (value >= base && at < units.length - 1) {
    value /= base;
    at += 1;
  }
  return `${significant(value, digits)}${units[at] ?? ""}`;
};

/** 1234567 → "1.235MB". */
export const humanSize = (bytes: number, digits = 4): string =>
  scaled(bytes, 1000, DECIMAL, digits);

/** 1048576 → "1MiB". */
export const bytesSize = (bytes: number): string => scaled(bytes, 1024, BINARY, 4);

const RAM_UNITS = "bkmgtp";

/** "512m", "1.5g", "1GiB", "100": bytes in powers of 1024. Throws with docker's words. */
export const parseRam = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp])?(i)?(b)?$/i.exec(text);
  if (match === null || (match[3] !== undefined && match[2] === undefined)) {
    throw new Error(`invalid size: '${text}'`);
  }
  const exponent = match[2] === undefined ? 0 : RAM_UNITS.indexOf(match[2].toLowerCase());
  return Math.trunc(Number(match[1]) * 1024 ** exponent);
};

const SECOND = 1;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "3 minutes", "About an hour", "2 weeks": the rough length of a time in seconds. */
export const humanDuration = (seconds: number): string => {
  const whole = Math.floor(seconds);
  if (whole < 1) return "Less than a second";
  if (whole === 1) return "1 second";
  if (whole < MINUTE) return `${String(whole)} seconds`;
  const minutes = Math.floor(seconds / MINUTE);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${String(minutes)} minutes`;
  const hours = Math.floor(seconds / HOUR + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${String(hours)} hours`;
  if (hours < 24 * 7 * 2) return `${String(Math.floor(hours / 24))} days`;
  if (hours < 24 * 30 * 2) return `${String(Math.floor(hours / 24 / 7))} weeks`;
  if (hours < 24 * 365 * 2) return `${String(Math.floor(hours / 24 / 30))} months`;
  return `${String(Math.floor(seconds / DAY / 365))} years`;
};

/** Go's duration text ("1m30s", "-1.5h") in nanoseconds. Throws with Go's words. */
export const parseDuration = (text: string): number => {
  const ns = parseDurationNs(text);
  if (ns !== undefined) return Number(ns);
  const isBare = /^[+-]?(\d+(\.\d*)?|\.\d+)$/.test(text);
  const reason = isBare ? "missing unit in" : "invalid";
  throw new Error(`time: ${reason} duration ${JSON.stringify(text)}`);
};
