/** Engine addresses as text: unix://PATH, tcp://HOST:PORT, http(s)://HOST:PORT, ssh://USER@HOST. */
import type { Address, TlsMaterial } from "#client/connection.ts";
import { NaruError } from "#lib/errors.ts";

const parseTcp = (text: string, tls: TlsMaterial | undefined): Address => {
  let url: URL;
  try {
    url = new URL(text.replace(/^(tcp|https?):\/\//, "http://"));
  } catch (cause) {
    throw new NaruError("invalid_argument", `unable to parse the engine address "${text}"`, {
      cause,
    });
  }
  if (url.pathname !== "/" && url.pathname !== "") {
    throw new NaruError("invalid_argument", `"${text}": an address with a path is not supported`);
  }
  // A URL drops port 80 as http's default; what was written counts.
  const port = /:(\d+)\/?$/.exec(text)?.[1];
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const isHttps = text.startsWith("https://");
  const material = tls ?? (isHttps ? { isVerified: true } : undefined);
  return {
    kind: "tcp",
    hostname,
    port: port === undefined ? (material === undefined ? 2375 : 2376) : Number(port),
    ...(material === undefined ? {} : { tls: material }),
  };
};

const parseSsh = (text: string): Address => {
  const reject = (reason: string): never => {
    throw new NaruError(
      "invalid_argument",
      `unable to parse the engine address "${text}": ${reason}`,
    );
  };
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return reject("use ssh://[USER@]HOST[:PORT][/PATH/OF/SOCKET]");
  }
  if (url.password !== "") return reject("ssh takes no password from an address; use a key");
  if (url.search !== "" || url.hash !== "") return reject("nothing may follow the path");
  // What begins so would be an option to ssh.
  if (url.hostname === "" || url.hostname.startsWith("-")) return reject("it names no host");
  const user = decodeURIComponent(url.username);
  const path = decodeURIComponent(url.pathname);
  return {
    kind: "ssh",
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    ...(user === "" ? {} : { user }),
    ...(url.port === "" ? {} : { port: Number(url.port) }),
    ...(path === "" || path === "/" ? {} : { path }),
  };
};

/** Throws invalid_argument on what is not an address. */
export const parseHost = (text: string, tls?: TlsMaterial): Address => {
  if (text.startsWith("unix://")) return { kind: "unix", path: text.slice(7) };
  if (text.startsWith("/")) return { kind: "unix", path: text };
  if (/^(tcp|https?):\/\//.test(text)) return parseTcp(text, tls);
  if (text.startsWith("ssh://")) return parseSsh(text);
  if (/^[a-z]+:\/\//.test(text)) {
    throw new NaruError(
      "invalid_argument",
      `unable to parse the engine address "${text}": use unix://PATH, tcp://HOST:PORT or ssh://USER@HOST`,
    );
  }
  return parseTcp(`tcp://${text}`, tls);
};
