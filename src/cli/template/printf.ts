/** Go's fmt verbs as templates use them: %v %s %q %d %x %X %o %b %c %t %f %e %g %T %%. */
import { formatValue, quote } from "#cli/template/values.ts";

const VERB = /%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g;

const formatVerb = (verb: string, value: unknown, precision: number | undefined): string => {
  switch (verb) {
    case "v":
      return formatValue(value);
    case "s": {
      const text = formatValue(value);
      return precision === undefined ? text : text.slice(0, precision);
    }
    case "q":
      return quote(formatValue(value));
    case "t":
      return typeof value === "boolean" ? String(value) : bad(verb, value);
    case "T":
      return typeof value;
    default:
      return typeof value === "number"
        ? formatNumberVerb(verb, value, precision)
        : hexText(verb, value);
  }
};

const bad = (verb: string, value: unknown): string =>
  `%!${verb}(${typeof value === "number" ? "int" : typeof value}=${formatValue(value)})`;

const hexText = (verb: string, value: unknown): string =>
  verb === "x" && typeof value === "string" ? Buffer.from(value).toString("hex") : bad(verb, value);

const formatNumberVerb = (verb: string, value: number, precision: number | undefined): string => {
  switch (verb) {
    case "d":
      return Number.isInteger(value) ? String(value) : bad(verb, value);
    case "x":
      return value.toString(16);
    case "X":
      return value.toString(16).toUpperCase();
    case "o":
      return value.toString(8);
    case "b":
      return value.toString(2);
    case "c":
      return String.fromCodePoint(value);
    case "f":
    case "F":
      return value.toFixed(precision ?? 6);
    case "e":
      return value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, "e$10$2");
    case "g":
      return precision === undefined ? String(value) : String(Number(value.toPrecision(precision)));
    default:
      return bad(verb, value);
  }
};

const padTo = (text: string, flags: string, width: number): string => {
  if (flags.includes("-")) return text.padEnd(width);
  if (!flags.includes("0")) return text.padStart(width);
  return text.startsWith("-")
    ? `-${text.slice(1).padStart(width - 1, "0")}`
    : text.padStart(width, "0");
};

export const formatPrintf = (format: string, values: readonly unknown[]): string => {
  let at = 0;
  const text = format.replaceAll(VERB, (all: string, ...groups: unknown[]) => {
    const [flags = "", width, precision, verb = ""] = groups as (string | undefined)[];
    if (verb === "%") return "%";
    if (at >= values.length) return `%!${verb}(MISSING)`;
    const value = values[at];
    at += 1;
    const digits = precision === undefined ? undefined : Number(precision);
    const plain = formatVerb(verb, value, digits);
    const signed =
      flags.includes("+") && typeof value === "number" && value >= 0 ? `+${plain}` : plain;
    return width === undefined || all === "" ? signed : padTo(signed, flags, Number(width));
  });
  const extra = values.slice(at).map((value) => `${typeof value}=${formatValue(value)}`);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(", ")})`;
};
