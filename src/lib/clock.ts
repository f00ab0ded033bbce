/**
 * The only sources of time and chance. Instants are strings in RFC 3339 with nanoseconds (Docker's
 * own form), so that they sort, store and print without conversion.
 */
/** Docker's "never": the zero time of the API. */
export const ZERO_TIME = "0001-01-01T00:00:00Z";

const pad = (value: number, width: number): string => String(value).padStart(width, "0");

/** `performance.now()` gives sub-millisecond digits on top of the wall clock. */
export const nowNs = (): bigint => {
  const ms = performance.timeOrigin + performance.now();
  return BigInt(Math.trunc(ms * 1000)) * 1000n;
};

export const formatInstant = (ns: bigint): string => {
  const date = new Date(Number(ns / 1_000_000n));
  const seconds = date.toISOString().slice(0, 19);
  return `${seconds}.${pad(Number(ns % 1_000_000_000n), 9)}Z`;
};

/** Nanoseconds since the epoch of an RFC 3339 instant with any number of fraction digits. */
export const parseInstant = (text: string): bigint => {
  const match = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/.exec(
    text,
  );
  if (match === null) throw new RangeError(`"${text}" is not an RFC 3339 time`);
  const [, seconds = "", fraction = "", zone = "Z"] = match;
  const ms = Date.parse(`${seconds.replace(" ", "T")}${zone}`);
  if (Number.isNaN(ms)) throw new RangeError(`"${text}" is not an RFC 3339 time`);
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
};

export const now = (): string => formatInstant(nowNs());

/** Milliseconds that only ever grow; for measuring, never for showing. */
export const monotonicMs = (): number => performance.now();

/** The global generator, not node:crypto's: loading that module takes longer than a command. */
export const randomHex = (bytes: number): string =>
  crypto.getRandomValues(new Uint8Array(bytes)).toHex();

/** Resolves after `ms`, or rejects with the signal's reason when aborted first. */
export const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
