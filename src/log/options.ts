/** Log drivers and their options, in Docker's words. Pure. */
import { NaruError } from "#lib/errors.ts";
import type { RotationPolicy } from "#log/rotate.ts";

const READABLE = new Set(["json-file", "local"]);

const COMMON = ["mode", "max-buffer-size"];
const FILE_OPTIONS = ["max-size", "max-file", "compress"];
/** They name what `--details` shows. */
const ATTRIBUTE_OPTIONS = ["labels", "labels-regex", "env", "env-regex", "tag"];

const ACCEPTED: Readonly<Record<string, ReadonlySet<string>>> = {
  "json-file": new Set([...COMMON, ...FILE_OPTIONS, ...ATTRIBUTE_OPTIONS]),
  local: new Set([...COMMON, ...FILE_OPTIONS]),
  none: new Set(COMMON),
};

export const DEFAULT_LOG_DRIVER = "json-file";
const DEFAULT_MAX_SIZE_BYTES = 10 * 1024 * 1024;
const DEFAULT_MAX_FILES = 3;

const refuse = (message: string): never => {
  throw new NaruError("invalid_argument", message);
};

/** Docker's units are binary here: "10m" is 10 MiB. */
const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** "10m", "1.5g", "100kb". undefined when it is no size. */
export const parseSize = (text: string): number | undefined => {
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  const unit = UNITS[(match?.[2] ?? "").toLowerCase()];
  return match === null || unit === undefined ? undefined : Math.trunc(Number(match[1]) * unit);
};

const parseMaxSize = (text: string | undefined): number => {
  if (text === undefined) return DEFAULT_MAX_SIZE_BYTES;
  if (text === "-1") return Number.POSITIVE_INFINITY;
  const size = parseSize(text);
  if (size !== undefined && size > 0) return size;
  return refuse(`invalid value for max-size: "${text}" is not a size such as 10m`);
};

const parseMaxFiles = (text: string | undefined): number => {
  if (text === undefined) return DEFAULT_MAX_FILES;
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  return refuse(`max-file cannot be less than 1: "${text}"`);
};

/** Go's words for true and false. */
const parseCompress = (text = "false"): boolean => {
  if (/^(?:1|t|true)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  return refuse(`invalid value for compress: "${text}" is neither true nor false`);
};

const checkMode = (options: Readonly<Record<string, string>>): void => {
  const mode = options["mode"] ?? "";
  if (!["", "blocking", "non-blocking"].includes(mode)) {
    refuse(`logger: log mode "${mode}" is not known: choose blocking or non-blocking`);
  }
  const buffer = options["max-buffer-size"];
  if (buffer === undefined) return;
  if (mode !== "non-blocking") {
    refuse(`logger: max-buffer-size option is only supported with 'mode=non-blocking'`);
  }
  if (parseSize(buffer) === undefined) {
    refuse(`error parsing option max-buffer-size: "${buffer}" is not a size such as 4m`);
  }
};

/** Throws invalid_argument for a driver or an option that is not known, or a value that makes no sense. */
export const validateLogOptions = (
  driver: string,
  options: Readonly<Record<string, string>>,
): void => {
  const accepted = ACCEPTED[driver || DEFAULT_LOG_DRIVER];
  if (accepted === undefined)
    return refuse(`logger: no log driver named '${driver}' is registered`);
  for (const key of Object.keys(options)) {
    if (accepted.has(key)) continue;
    refuse(`unknown log opt '${key}' for ${driver || DEFAULT_LOG_DRIVER} log driver`);
  }
  checkMode(options);
  if (driver === "none") return;
  rotationPolicy(options);
};

/** When a log is rotated, and how many files stay. Throws as `validateLogOptions`. */
export const rotationPolicy = (options: Readonly<Record<string, string>>): RotationPolicy => ({
  maxBytes: parseMaxSize(options["max-size"]),
  maxFiles: parseMaxFiles(options["max-file"]),
  isCompressed: parseCompress(options["compress"]),
});

/** Whether `docker logs` can answer. */
export const isReadableDriver = (driver: string): boolean =>
  READABLE.has(driver || DEFAULT_LOG_DRIVER);

/**
 * Accepted options that change nothing here; whoever takes them must say so. Output goes straight to a
 * file: there is no buffer between that could fill, or drop lines.
 */
export const ineffectiveLogOptions = ({
  mode,
}: Readonly<Record<string, string>>): readonly string[] =>
  mode === "non-blocking" ? ["mode", "max-buffer-size"] : [];
