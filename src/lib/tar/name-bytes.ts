/**
 * Names in archives are bytes and strings here. Valid UTF-8 maps as usual; a byte that is not part of
 * valid UTF-8 becomes the lone surrogate U+DC00 + byte (U+DC80 … U+DCFF) and turns back into that byte
 * when written. So every name survives a round trip, and the doors to the kernel take the same form.
 */
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const sequenceLength = (lead: number): number =>
  lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;

const decodeStrict = (bytes: Uint8Array): string | undefined => {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined; // The caller escapes what is not UTF-8.
  }
};

const decodeDamaged = (bytes: Uint8Array): string => {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at] ?? 0;
    const length = sequenceLength(lead);
    const isWhole = length > 0 && at + length <= bytes.length;
    const character = isWhole ? decodeStrict(bytes.subarray(at, at + length)) : undefined;
    text += character ?? String.fromCharCode(0xdc00 + lead);
    at += character === undefined ? 1 : length;
  }
  return text;
};

/** The text of name bytes. Never fails. */
export const decodeName = (bytes: Uint8Array): string => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
  // As many characters as bytes, none of them the replacement: plain ASCII, nearly always.
  if (text.length === bytes.length && !text.includes("\uFFFD")) return text;
  return decodeStrict(bytes) ?? decodeDamaged(bytes);
};

/** The bytes of a name's text; the inverse of `decodeName`. */
export const encodeName = (text: string): Uint8Array => {
  if (text.isWellFormed()) return Buffer.from(text, "utf8");
  const parts: Uint8Array[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const isEscape = code >= 0xdc80 && code <= 0xdcff;
    parts.push(isEscape ? Uint8Array.of(code - 0xdc00) : Buffer.from(character, "utf8"));
  }
  return Buffer.concat(parts);
};
