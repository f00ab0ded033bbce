/** Values as Go prints them: history entries of images are written so. */

/** %v of a list: [a b]. */
export const goList = (items: readonly string[]): string => `[${items.join(" ")}]`;

/** %q of a list: ["a" "b"]. */
export const goQuotedList = (items: readonly string[]): string =>
  goList(items.map((item) => JSON.stringify(item)));
