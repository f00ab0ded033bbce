/** Values as Go prints them: history entries of images are written so. */

/** %v of a list: [a b]. */
export const goList = (items: readonly string[]): string => `[${items.join(" ")}]`;

/** JSON writes control characters otherwise than Go does. */
const CONTROL: ReadonlyMap<string, string> = new Map([
  ["0007", "a"],
  ["000b", "v"],
]);

/** %q of a text: "a\nb". */
export const goQuoted = (text: string): string =>
  JSON.stringify(text)
    .replaceAll("\u007F", "\\u007f")
    .replaceAll(/\\(?:\\|u(00[0-7][0-9a-f]))/g, (whole, code: string | undefined) =>
      code === undefined ? whole : `\\${CONTROL.get(code) ?? `x${code.slice(2)}`}`,
    );

/** %q of a list: ["a" "b"]. */
export const goQuotedList = (items: readonly string[]): string => goList(items.map(goQuoted));
