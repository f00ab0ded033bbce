/** Values as Go prints them: history entries of images are written so. */

const UNITS: readonly (readonly [ns: number, unit: string])[] = [
  [3_600_000_000_000, "h"],
  [60_000_000_000, "m"],
];

/** time.Duration: "1m30s", "1.5s", "200ms", "0s". */
export const goDuration = (ns: number): string => {
  if (ns === 0) return "0s";
  if (ns < 1000) return `${ns}ns`;
  if (ns < 1_000_000) return `${ns / 1000}µs`;
  if (ns < 1_000_000_000) return `${ns / 1_000_000}ms`;
  let rest = ns;
  let out = "";
  for (const [size, unit] of UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0 || out !== "") out += `${count}${unit}`;
    rest -= count * size;
  }
  return `${out}${rest / 1_000_000_000}s`;
};

/** %v of a list: [a b]. */
export const goList = (items: readonly string[]): string => `[${items.join(" ")}]`;

/** %q of a list: ["a" "b"]. */
export const goQuotedList = (items: readonly string[]): string =>
  goList(items.map((item) => JSON.stringify(item)));
