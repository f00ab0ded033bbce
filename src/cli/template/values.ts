/** JSON values as Go's templates see them: truth, printing, comparison, fields. */

/** Fields of Go pointers: unset they print as <nil>; other nulls are empty slices or maps. */
const POINTERS = new Set([
  "Health",
  "Healthcheck",
  "Init",
  "IPAMConfig",
  "MemorySwappiness",
  "OomKillDisable",
  "PidsLimit",
  "SizeRootFs",
  "SizeRw",
  "StopTimeout",
]);
/** Fields of Go maps; other objects are structs, whose names are not printed. */
const MAPS = new Set([
  "Annotations",
  "Attributes",
  "Containers",
  "Data",
  "DriverOpts",
  "ExposedPorts",
  "Labels",
  "Networks",
  "Options",
  "PortBindings",
  "Ports",
  "Runtimes",
  "StorageOpt",
  "Sysctls",
  "Tmpfs",
  "Volumes",
]);

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const isTrue = (value: unknown): boolean => {
  if (value === undefined || value === null || value === false || value === 0 || value === "") {
    return false;
  }
  if (Array.isArray(value)) return value.length > 0;
  return !isRecord(value) || Object.keys(value).length > 0;
};

const nullText = (key: string | undefined): string => {
  if (key === undefined) return "<no value>";
  if (POINTERS.has(key)) return "<nil>";
  return MAPS.has(key) ? "map[]" : "[]";
};

const formatNumber = (value: number): string => {
  if (Number.isInteger(value)) return value.toLocaleString("fullwide", { useGrouping: false });
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (exponent >= -4 && exponent < 21) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
};

/** As Go's `%v` prints it. `key` is the name of the field the value came from. */
export const formatValue = (value: unknown, key?: string): string => {
  if (value === undefined) return "<no value>";
  if (value === null) return nullText(key);
  if (typeof value === "number") return formatNumber(value);
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return `[${value.map((item) => formatValue(item)).join(" ")}]`;
  if (isRecord(value)) {
    if (key === undefined || !MAPS.has(key)) {
      return `{${Object.entries(value)
        .map(([name, item]) => formatValue(item, name))
        .join(" ")}}`;
    }
    const pairs = Object.keys(value)
      .toSorted()
      .map((name) => `${name}:${formatValue(value[name], name)}`);
    return `map[${pairs.join(" ")}]`;
  }
  return String(value as boolean | bigint);
};

/**
 * A field by its name as JSON or Go spells it (`Id` and `ID`, `CpuShares` and `CPUShares`). Returns
 * undefined for "no such field": null is a field without a value.
 */
export const fieldOf = (
  value: Record<string, unknown>,
  name: string,
): { value: unknown } | undefined => {
  if (Object.hasOwn(value, name)) return { value: value[name] };
  const lower = name.toLowerCase();
  const found = Object.keys(value).find((key) => key.toLowerCase() === lower);
  return found === undefined ? undefined : { value: value[found] };
};

const SAFE: Readonly<Record<string, string>> = {
  "\n": "\\n",
  "\t": "\\t",
  "\r": "\\r",
  '"': '\\"',
  "\\": "\\\\",
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\v": "\\v",
};

/** Outside ASCII: what takes no place on a screen. */
const isInvisible = (code: number): boolean =>
  code < 0xa0 ||
  code === 0xad ||
  (code >= 0x200b && code <= 0x200f) ||
  (code >= 0x2028 && code <= 0x202e) ||
  code === 0xfeff;

const escapeChar = (char: string): string => {
  const known = SAFE[char];
  if (known !== undefined) return known;
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  return isInvisible(code) ? `\\u${code.toString(16).padStart(4, "0")}` : char;
};

/** A string in double quotes as Go's strconv.Quote writes it. */
export const quote = (text: string): string => `"${text.replaceAll(/["\\]|[^ -~]/g, escapeChar)}"`;
