/** Log lines to stderr: text for people, JSON for machines. */
import { writeSync } from "node:fs";
import { now } from "#lib/clock.ts";
import type { LogFields, LogLevel, LogSink } from "#lib/log.ts";

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const STDERR = 2;

const plain = (value: unknown): unknown => (value instanceof Error ? value.message : value);

const quote = (given: unknown): string => {
  const value = plain(given);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text;
};

const textLine = (level: LogLevel, message: string, fields: LogFields): string => {
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${quote(value)}`);
  return `${now()} ${level.toUpperCase().padEnd(5)} ${message}${rest.join("")}\n`;
};

const jsonLine = (level: LogLevel, message: string, fields: LogFields): string =>
  `${JSON.stringify({ time: now(), level, msg: message, ...fields }, (_, value: unknown) => plain(value))}\n`;

export const createStderrSink = (minimum: LogLevel, format: "text" | "json"): LogSink => {
  const line = format === "json" ? jsonLine : textLine;
  return (level, message, fields) => {
    if (RANK[level] < RANK[minimum]) return;
    try {
      writeSync(STDERR, line(level, message, fields));
    } catch {
      // Nobody reads stderr any more (EPIPE) or it is full (EAGAIN): the engine matters more than its log.
    }
  };
};
