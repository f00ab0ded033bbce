/** Which text go-yaml 3 writes without quotes: what it would not read as something else (resolve.go). */

const WORDS = new Set(
  (
    "~ null Null NULL true True TRUE false False FALSE .nan .NaN .NAN .inf .Inf .INF +.inf +.Inf " +
    "+.INF -.inf -.Inf -.INF y Y yes Yes YES on On ON n N no No NO off Off OFF"
  ).split(" "),
);

const SEXAGESIMAL = /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?$/;
const FLOAT = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;
/** After a dot any form of Go's own, with figures parted by nothing. */
const DOT_FLOAT = /^\.\d+(?:[eE][-+]?\d+)?$/;
/** Go's integer literals, once their underscores are gone. */
const INTEGER = /^[-+]?(?:0[xX][\da-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9]\d*)$/;
const DATE = /^\d{4}-(\d{1,2})-(\d{1,2})(?:([Tt ])(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(.*))?$/;
const ZONE = /^(?:Z|[-+]\d{2}:\d{2})$/;

const MAX_UNSIGNED = 2n ** 64n - 1n;
const MIN_SIGNED = -(2n ** 63n);

const isInteger = (plain: string): boolean => {
  if (!INTEGER.test(plain)) return false;
  const isNegative = plain.startsWith("-");
  const digits = plain.replace(/^[-+]/, "").replace(/^0(?=[0-7])/, "0o");
  const size = BigInt(digits);
  const value = isNegative ? -size : size;
  // A sign in front of what only fits without one is not read as a number.
  if (value > 2n ** 63n - 1n) return !/^[-+]/.test(plain) && value <= MAX_UNSIGNED;
  return value >= MIN_SIGNED;
};

const daysOf = (year: number, month: number): number =>
  new Date(Date.UTC(year, month, 0)).getUTCDate();

const isTimestamp = (text: string): boolean => {
  const match = DATE.exec(text);
  if (match === null) return false;
  const [, month = "", day = "", separator, hour, minute, second, zone = ""] = match;
  const year = Number(text.slice(0, 4));
  if (Number(month) < 1 || Number(month) > 12) return false;
  if (Number(day) < 1 || Number(day) > daysOf(year, Number(month))) return false;
  if (separator === undefined) return true;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return false;
  return separator === " " ? zone === "" : ZONE.test(zone);
};

/** False: it must be quoted, or it would be read as a number, a date, a boolean or nothing. */
export const isPlainText = (text: string): boolean => {
  if (text === "" || WORDS.has(text) || SEXAGESIMAL.test(text)) return false;
  const first = text.charAt(0);
  if (first === ".") return !DOT_FLOAT.test(text);
  if (!/[-+\d]/.test(first)) return true;
  if (isTimestamp(text)) return false;
  const plain = text.replaceAll("_", "");
  return !isInteger(plain) && !(FLOAT.test(plain) && Number.isFinite(Number(plain)));
};
