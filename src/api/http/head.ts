/**
 * Reads the head of an HTTP/1.x request (RFC 9112) strictly: whatever two parsers could read in two
 * ways (bare line feeds, folded lines, space before a colon, Content-Length beside
 * Transfer-Encoding, two Hosts) is refused, so that no request can hide in another one.
 */
import { NaruError } from "#lib/errors.ts";

/** Bytes of request line and header fields together. */
export const HEAD_LIMIT_BYTES = 256 * 1024;
const FIELD_LIMIT = 256;

export interface RequestHead {
  readonly method: string;
  /** Always begins with "/"; percent-encoding as received. */
  readonly path: string;
  /** What follows "?", without it; "" when there is none. */
  readonly queryText: string;
  /** 0 or 1, of HTTP/1.x. */
  readonly minorVersion: number;
  /** Lower-case names; repeated fields are joined with ", ". */
  readonly fields: ReadonlyMap<string, string>;
  readonly isKeepAlive: boolean;
  /** Bytes of the body; undefined when it is chunked. */
  readonly contentLength: number | undefined;
  readonly isContinueExpected: boolean;
  /** The protocol asked for ("tcp", "websocket"), in lower case. */
  readonly upgrade: string | undefined;
}

/** `details.status` is the answer the connection gives before it closes. */
const refuse = (status: number, message: string): NaruError =>
  new NaruError("invalid_argument", message, { details: { status } });

const REQUEST_LINE = /^([A-Z][A-Z-]{0,31}) (\S+) HTTP\/(\d)\.(\d)$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Control characters other than tab, a CR without LF, an LF without CR.
// oxlint-disable-next-line no-control-regex
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/;
const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;

/** Clients may send UTF-8 unescaped; the head was read as latin1. */
const asUtf8 = (text: string): string =>
  /[\u0080-\u00ff]/.test(text) ? Buffer.from(text, "latin1").toString("utf8") : text;

const parseFields = (lines: readonly string[]): Map<string, string> => {
  if (lines.length - 1 > FIELD_LIMIT) throw refuse(431, "too many header fields");
  const fields = new Map<string, string>();
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? "";
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    if (colon < 1 || !TOKEN.test(name)) throw refuse(400, "malformed header field");
    const key = name.toLowerCase();
    const value = line.slice(colon + 1).trim();
    const earlier = fields.get(key);
    if (earlier === undefined) {
      fields.set(key, value);
    } else if (key === "host" || key === "content-length" || key === "transfer-encoding") {
      throw refuse(400, `more than one "${name}" header`);
    } else {
      fields.set(key, `${earlier}, ${value}`);
    }
  }
  return fields;
};

/** Bytes of the body, undefined = chunked. */
const bodyLength = (fields: Map<string, string>, minorVersion: number): number | undefined => {
  const encoding = fields.get("transfer-encoding");
  const length = fields.get("content-length");
  if (encoding !== undefined) {
    if (minorVersion === 0) throw refuse(400, "Transfer-Encoding in an HTTP/1.0 request");
    if (length !== undefined) throw refuse(400, "both Content-Length and Transfer-Encoding");
    if (encoding.toLowerCase() !== "chunked") {
      throw refuse(501, `unsupported Transfer-Encoding "${encoding}"`);
    }
    return undefined;
  }
  if (length === undefined) return 0;
  if (!/^\d{1,15}$/.test(length)) throw refuse(400, `bad Content-Length "${length}"`);
  return Number(length);
};

const hasToken = (value: string | undefined, token: string): boolean =>
  value !== undefined && value.split(",").some((part) => part.trim().toLowerCase() === token);

const isContinueExpected = (fields: Map<string, string>, minorVersion: number): boolean => {
  const expect = fields.get("expect");
  if (expect === undefined || minorVersion === 0) return false;
  if (expect.toLowerCase() !== "100-continue") {
    throw refuse(417, `unsupported expectation "${expect}"`);
  }
  return true;
};

/**
 * `text` is the head as latin1, without the empty line that ends it. Throws invalid_argument with
 * `details.status`.
 */
export const parseHead = (text: string): RequestHead => {
  if (FORBIDDEN.test(text)) throw refuse(400, "control character in the request head");
  const lines = text.split("\r\n");
  const match = REQUEST_LINE.exec(lines[0] ?? "");
  if (match === null) throw refuse(400, "malformed request line");
  const [, method = "", rawTarget = "", major, minor] = match;
  if (major !== "1") throw refuse(505, `HTTP version ${major}.${minor} is not supported`);
  const minorVersion = minor === "0" ? 0 : 1;
  const target = asUtf8(rawTarget.replace(ABSOLUTE_FORM, ""));
  const isRooted = target.startsWith("/");
  if (!isRooted && !(target === "" && rawTarget !== "")) {
    throw refuse(400, `bad request target "${rawTarget.slice(0, 80)}"`);
  }
  const fields = parseFields(lines);
  if (minorVersion === 1 && !fields.has("host")) throw refuse(400, "missing Host header");
  const question = target.indexOf("?");
  const connection = fields.get("connection");
  const upgrade = fields.get("upgrade");
  return {
    method,
    path: question < 0 ? target || "/" : target.slice(0, question),
    queryText: question < 0 ? "" : target.slice(question + 1),
    minorVersion,
    fields,
    isKeepAlive:
      minorVersion === 1 ? !hasToken(connection, "close") : hasToken(connection, "keep-alive"),
    contentLength: bodyLength(fields, minorVersion),
    isContinueExpected: isContinueExpected(fields, minorVersion),
    upgrade: upgrade?.toLowerCase(),
  };
};
