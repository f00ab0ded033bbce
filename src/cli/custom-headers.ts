/** DOCKER_CUSTOM_HEADERS: "Name=value" fields of one record of comma-separated values. */
import { cut, parseCsv } from "#cli/run-options/csv.ts";
import { NaruError } from "#lib/errors.ts";

/** RFC 9110, section 5.6.2: the letters of a field's name. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export const parseHeaders = (text: string): Record<string, string> => {
  const reject = (reason: string): never => {
    throw new NaruError(
      "invalid_argument",
      `failed to set custom headers from DOCKER_CUSTOM_HEADERS environment variable: ${reason}`,
    );
  };
  return Object.fromEntries(
    parseCsv(text).map((field): [string, string] => {
      const [name, value] = cut(field);
      if (value === undefined) return reject(`missing "=" in key=value pair: '${field}'`);
      if (!NAME.test(name.trim())) return reject(`"${name}" is no name of a header`);
      if (/[\r\n]/.test(value)) return reject(`the value of "${name}" has more than one line`);
      return [name.trim(), value];
    }),
  );
};
