/** One line of comma separated values (RFC 4180): what `--mount` and `--device` are written in. */
import { Complaint } from "#spec/dockerfile/error.ts";

const quotedField = (line: string, from: number): readonly [value: string, end: number] => {
  let value = "";
  for (let at = from + 1; at < line.length; at += 1) {
    const char = line.charAt(at);
    if (char !== '"') value += char;
    else if (line.charAt(at + 1) === '"') {
      value += char;
      at += 1;
    } else return [value, at + 1];
  }
  throw new Complaint(`a quoted field has no end: ${line.slice(from)}`);
};

/** Throws Complaint: stray quotes. */
export const csvFields = (line: string): string[] => {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (line.charAt(at) === '"') {
      const [value, end] = quotedField(line, at);
      if (end < line.length && line.charAt(end) !== ",") {
        throw new Complaint(`a quoted field goes on behind its quote: ${line.slice(at)}`);
      }
      fields.push(value);
      at = end;
    } else {
      const comma = line.indexOf(",", at);
      const value = line.slice(at, comma < 0 ? undefined : comma);
      if (value.includes('"')) throw new Complaint(`a quote inside of an unquoted field: ${value}`);
      fields.push(value);
      at += value.length;
    }
    if (at >= line.length) return fields;
    at += 1;
  }
};
