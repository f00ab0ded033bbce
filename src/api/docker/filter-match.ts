/** Name filters as Docker reads them: equal, or a regular expression found in the text. */
export const textMatcher = (values: readonly string[]): ((text: string) => boolean) => {
  const expressions = values.flatMap((value) => {
    try {
      return [new RegExp(value)];
    } catch {
      // What is no expression can still be equal.
      return [];
    }
  });
  return (text) => values.includes(text) || expressions.some((expression) => expression.test(text));
};
