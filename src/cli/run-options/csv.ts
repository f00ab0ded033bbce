/** One record of comma-separated values with "quoted" fields (RFC 4180), as --mount takes it. */
export const parseCsv = (text: string): string[] => {
  const fields: string[] = [];
  let field = "";
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? "";
    if (isQuoted) {
      if (char !== '"') field += char;
      else if (text[at + 1] === '"') {
        field += '"';
        at += 1;
      } else isQuoted = false;
    } else if (char === '"') {
      if (field !== "")
        throw new Error(
          `parse error on line 1, column ${String(at + 1)}: bare " in non-quoted-field`,
        );
      isQuoted = true;
    } else if (char === ",") {
      fields.push(field);
      field = "";
    } else field += char;
  }
  if (isQuoted)
    throw new Error(
      `parse error on line 1, column ${String(text.length + 1)}: extraneous or missing " in quoted-field`,
    );
  return [...fields, field];
};

/** "a=b" → ["a", "b"]; without "=" the value is undefined. */
export const cut = (text: string, separator = "="): [string, string | undefined] => {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
};
