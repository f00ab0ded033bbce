/** Numbers as Go prints them (strconv, format "g"). */

/** The shortest form that is read as the same number; from a million on with an exponent. */
export const goNumber = (value: number): string => {
  if (Number.isNaN(value)) return ".nan";
  if (!Number.isFinite(value)) return value > 0 ? ".inf" : "-.inf";
  const [mantissa = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
};

const SINGLE_DIGITS = 9;

/** The number that stands for `value` where only a float32 is kept: cpus, percentages. */
export const singlePrecision = (value: number): number => {
  const single = Math.fround(value);
  for (let digits = 1; digits < SINGLE_DIGITS; digits += 1) {
    const short = Number(single.toPrecision(digits));
    if (Math.fround(short) === single) return short;
  }
  return single;
};
