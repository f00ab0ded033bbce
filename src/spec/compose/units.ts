/** Amounts as people write them in compose files: bytes and durations. */
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

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
  d: 86_400e9,
  w: 604_800e9,
};

/** Nanoseconds of "1m30s", "1.5h", "2d"; undefined when it is no duration. */
export const parseDuration = (text: string): number | undefined => {
  if (text === "0") return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|w))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount = "0", unit = "s"] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h|d|w)/g)) {
    total += Number(amount) * (NANOSECONDS[unit] ?? 0);
  }
  return Math.round(total);
};

const decimal = (value: number): string => String(Number(value.toFixed(9)));

/** "1m30s", "1h0m0s", "500ms", "0s": the form in which durations are printed. */
export const formatDuration = (nanoseconds: number): string => {
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e3) return `${String(nanoseconds)}ns`;
  if (nanoseconds < 1e6) return `${decimal(nanoseconds / 1e3)}µs`;
  if (nanoseconds < 1e9) return `${decimal(nanoseconds / 1e6)}ms`;
  const hours = Math.floor(nanoseconds / 3600e9);
  const minutes = Math.floor((nanoseconds % 3600e9) / 60e9);
  const seconds = decimal((nanoseconds % 60e9) / 1e9);
  if (hours > 0) return `${String(hours)}h${String(minutes)}m${seconds}s`;
  return minutes > 0 ? `${String(minutes)}m${seconds}s` : `${seconds}s`;
};
