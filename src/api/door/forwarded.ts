/** Heads on their way through the front door (RFC 9110 7.6.1): what is between two neighbours alone goes. Pure. */
import { NaruError } from "#lib/errors.ts";

/** `Transfer-Encoding` stays: bodies pass as they are framed. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "upgrade",
]);

/** Without these a body would be read in another way than it was written. */
const FRAMING = new Set(["host", "content-length", "transfer-encoding"]);

/** Ours to say: what a client says of itself is not to be trusted. */
const OURS = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-real-ip",
]);

export interface Arrival {
  readonly isTls: boolean;
  readonly clientAddress: string;
  readonly port: number;
}

const nameOf = (line: string): string => line.slice(0, line.indexOf(":")).trim().toLowerCase();

/** Names that "Connection" lists besides. */
const listed = (lines: readonly string[]): Set<string> =>
  new Set(
    lines
      .filter((line) => nameOf(line) === "connection")
      .flatMap((line) => line.slice(line.indexOf(":") + 1).split(","))
      .map((name) => name.trim().toLowerCase()),
  );

const endToEnd = (lines: readonly string[]): string[] => {
  const named = listed(lines);
  return lines.filter((line) => {
    const name = nameOf(line);
    return !HOP_BY_HOP.has(name) && (!named.has(name) || FRAMING.has(name));
  });
};

/** The protocol that client and target may agree on; HTTP/2 in the clear is not passed on. */
export const upgradeOf = (upgrade: string | undefined, lines: readonly string[]) =>
  upgrade === undefined || upgrade.startsWith("h2c") || !listed(lines).has("upgrade")
    ? undefined
    : upgrade;

/** `text` has been found good by `parseHead`. */
export const forwardRequest = (
  text: string,
  arrival: Arrival,
  host: string,
  upgrade: string | undefined,
): string => {
  const [first = "", ...lines] = text.split("\r\n");
  const kept = endToEnd(lines).filter((line) => !OURS.has(nameOf(line)));
  return [
    first.replace(/ https?:\/\/[^/?# ]*(?=[/?#])/i, " "),
    ...kept,
    `X-Forwarded-For: ${arrival.clientAddress}`,
    `X-Forwarded-Host: ${host}`,
    `X-Forwarded-Port: ${arrival.port}`,
    `X-Forwarded-Proto: ${arrival.isTls ? "https" : "http"}`,
    ...(upgrade === undefined ? [] : ["Connection: Upgrade", `Upgrade: ${upgrade}`]),
    "\r\n",
  ].join("\r\n");
};

export interface ResponseHead {
  readonly status: number;
  /** Bytes; undefined: chunked; null: until the connection ends. */
  readonly bodyLength: number | undefined | null;
  readonly canBeKept: boolean;
  readonly lines: readonly string[];
}

const bad = (what: string): NaruError =>
  new NaruError("data_loss", `its answer cannot be understood: ${what}`);

const STATUS_LINE = /^HTTP\/1\.([01]) (\d{3})(?: .*)?$/;

export const parseResponseHead = (text: string, method: string): ResponseHead => {
  const lines = text.split(/\r?\n/);
  const match = STATUS_LINE.exec(lines[0] ?? "");
  if (match === null) throw bad(`it begins with "${(lines[0] ?? "").slice(0, 40)}"`);
  const status = Number(match[2]);
  const values = (name: string): string[] =>
    lines
      .slice(1)
      .filter((line) => nameOf(line) === name)
      .map((line) => line.slice(line.indexOf(":") + 1).trim());
  const lengths = [...new Set(values("content-length"))];
  const encoding = values("transfer-encoding").join(",").toLowerCase();
  const connection = values("connection").join(",").toLowerCase();
  const canBeKept = match[1] === "1" ? !connection.includes("close") : false;
  const hasNone = method === "HEAD" || status < 200 || status === 204 || status === 304;
  const head = { status, canBeKept, lines };
  if (hasNone) return { ...head, bodyLength: 0 };
  if (encoding !== "") {
    if (encoding !== "chunked") throw bad(`Transfer-Encoding "${encoding}"`);
    return { ...head, bodyLength: undefined };
  }
  const [length] = lengths;
  if (length === undefined) return { ...head, bodyLength: null, canBeKept: false };
  if (lengths.length > 1 || !/^\d{1,15}$/.test(length)) throw bad(`Content-Length "${length}"`);
  return { ...head, bodyLength: Number(length) };
};

/** The answer's head for the client. */
export const forwardResponse = (
  { status, lines, bodyLength }: ResponseHead,
  isKept: boolean,
  upgrade: string | undefined,
): string => {
  const [first = "", ...rest] = lines;
  const kept = endToEnd(rest).filter(
    // Beside a chunked body a length is somebody's trap.
    (line) => bodyLength !== undefined || nameOf(line) !== "content-length",
  );
  const connection =
    status === 101 && upgrade !== undefined
      ? ["Connection: Upgrade", `Upgrade: ${upgrade}`]
      : [`Connection: ${isKept ? "keep-alive" : "close"}`];
  // The client speaks 1.1 or was answered in 1.0 by the target already.
  return [first, ...kept, ...(status < 200 && status !== 101 ? [] : connection), "\r\n"].join(
    "\r\n",
  );
};
