/**
 * File names are bytes to Linux and strings here. Valid UTF-8 maps as usual; a byte that is not part
 * of valid UTF-8 becomes the lone surrogate U+DC00 + byte (U+DC80 … U+DCFF), and turns back into that
 * byte on the way down. So every name survives a round trip through the *At calls. node:fs does not
 * know this form: such names must not be handed to it.
 */
import { NaruError } from "#lib/errors.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

const sequenceLength = (lead: number): number =>
  lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;

const decodeDamaged = (bytes: Uint8Array): string => {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at] ?? 0;
    const length = sequenceLength(lead);
    try {
      if (length === 0 || at + length > bytes.length) throw new TypeError("not UTF-8");
      text += strict.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      // Not an error of ours: exactly these bytes are the ones that need the escape.
      text += String.fromCharCode(0xdc00 + lead);
      at += 1;
    }
  }
  return text;
};

export const decodeName = (bytes: Uint8Array): string => {
  try {
    return strict.decode(bytes);
  } catch {
    return decodeDamaged(bytes);
  }
};

const encodeEscaped = (text: string): Uint8Array => {
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else bytes.push(...encoder.encode(character));
  }
  return Uint8Array.from(bytes);
};

const ESCAPED = /[\uDC80-\uDCFF]/;

export const encodeName = (text: string): Uint8Array =>
  ESCAPED.test(text) && !text.isWellFormed() ? encodeEscaped(text) : encoder.encode(text);

/** The bytes with a closing NUL, for C. A NUL inside would silently cut the text: refused. */
export const cString = (text: string): Uint8Array => {
  if (text.includes("\0")) {
    throw new NaruError("invalid_argument", `${JSON.stringify(text)} holds a NUL character`, {
      details: { errno: "EINVAL", call: "encode", path: text },
    });
  }
  return encodeName(`${text}\0`);
};
