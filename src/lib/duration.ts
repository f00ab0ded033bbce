/** Lengths of time as Go writes them, which is how Docker's files, flags and answers do: "1h30m", "1.5s", "0s". */

const UNITS_NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  // Both signs of micro: U+00B5 and U+03BC.
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Go has no days; compose files do. */
const LONG_UNITS_NS: Readonly<Record<string, bigint>> = {
  ...UNITS_NS,
  d: 86_400_000_000_000n,
  w: 604_800_000_000_000n,
};

/** What an int64 of nanoseconds holds: some 292 years. */
const MAX_NS = 2n ** 63n - 1n;

const PART = /(\d*)(?:\.(\d*))?([^\d.]+)/y;

/** What is behind the comma is cut off below a nanosecond. */
const partNs = (whole: string, fraction: string, unit: bigint): bigint =>
  BigInt(whole || "0") * unit + (BigInt(fraction || "0") * unit) / 10n ** BigInt(fraction.length);

const parse = (text: string, units: Readonly<Record<string, bigint>>): bigint | undefined => {
  const body = text.replace(/^[+-]/, "");
  if (body === "0") return 0n;
  if (body === "" || body.length > 128) return undefined;
  let total = 0n;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const [, whole = "", fraction = "", name = ""] = PART.exec(body) ?? [];
    const unit = Object.hasOwn(units, name) ? units[name] : undefined;
    if (unit === undefined || whole + fraction === "") return undefined;
    total += partNs(whole, fraction, unit);
    if (total > MAX_NS) return undefined;
  }
  return text.startsWith("-") ? -total : total;
};

/** Nanoseconds of what time.ParseDuration takes: a sign, numbers with units, or "0". Undefined when it is none. */
export const parseDurationNs = (text: string): bigint | undefined => parse(text, UNITS_NS);

/** The same with days and weeks ("2d", "1w"), as compose files may have them. */
export const parseLongDurationNs = (text: string): bigint | undefined => parse(text, LONG_UNITS_NS);

const decimal = (value: number): string => String(Number(value.toFixed(9)));

/** As Duration.String() prints it: "1m30s", "1h0m0s", "1.5ms", "0s". */
export const formatDuration = (ns: number): string => {
  if (ns < 0) return `-${formatDuration(-ns)}`;
  if (ns === 0) return "0s";
  if (ns < 1e3) return `${String(ns)}ns`;
  if (ns < 1e6) return `${decimal(ns / 1e3)}µs`;
  if (ns < 1e9) return `${decimal(ns / 1e6)}ms`;
  const hours = Math.floor(ns / 3600e9);
  const minutes = Math.floor((ns % 3600e9) / 60e9);
  const seconds = decimal((ns % 60e9) / 1e9);
  if (hours > 0) return `${String(hours)}h${String(minutes)}m${seconds}s`;
  return minutes > 0 ? `${String(minutes)}m${seconds}s` : `${seconds}s`;
};
