/** Log lines to stderr: text for people, JSON for machines. */
import { writeSync } from "node:fs";
import { now } from "#lib/clock.ts";
import type { LogFields, LogLevel, LogSink } from "#lib/log.ts";

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const STDERR = 2;

/** What JSON cannot hold, as text. */
const plain = (value: unknown): unknown => {
  if (value instanceof Error) return value.message;
  return typeof value === "bigint" ? String(value) : value;
};

const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) => plain(item)) ?? "null";

const quote = (given: unknown): string => {
  const value = plain(given);
  const text = typeof value === "string" ? value : toJson(value);
  return text === "" || /[\s"=]/.test(text) ? JSON.stringify(text) : text;
};

/** Pure, but for the time. */
const textLine = (level: LogLevel, message: string, fields: LogFields): string => {
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${quote(value)}`);
  return `${now()} ${level.toUpperCase().padEnd(5)} ${message}${rest.join("")}\n`;
};

const jsonLine = (level: LogLevel, message: string, fields: LogFields): string =>
  `${toJson({ time: now(), level, msg: message, ...fields })}\n`;

export interface StderrLog {
  readonly sink: LogSink;
  /** Takes effect with the next line. */
  configure(minimum: LogLevel, format: "text" | "json"): void;
}

const writeToStderr = (line: string): void => void writeSync(STDERR, line);

/** `write` is given whole lines. */
export const createStderrLog = (write: (line: string) => void = writeToStderr): StderrLog => {
  let minimum: LogLevel = "info";
  let lineOf = textLine;
  return {
    sink: (level, message, fields) => {
      if (RANK[level] < RANK[minimum]) return;
      try {
        write(lineOf(level, message, fields));
      } catch {
        // Nobody reads stderr any more (EPIPE) or it is full (EAGAIN): the engine matters more than its log.
      }
    },
    configure: (newMinimum, format) => {
      minimum = newMinimum;
      lineOf = format === "json" ? jsonLine : textLine;
    },
  };
};
