/** Engine addresses as text: unix://PATH, tcp://HOST:PORT, http(s)://HOST:PORT. */
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

/** Throws invalid_argument on what is not an address, not_implemented on `ssh://`. */
export const parseHost = (text: string, tls?: TlsMaterial): Address => {
  if (text.startsWith("unix://")) return { kind: "unix", path: text.slice(7) };
  if (text.startsWith("/")) return { kind: "unix", path: text };
  if (/^(tcp|https?):\/\//.test(text)) return parseTcp(text, tls);
  if (text.startsWith("ssh://")) {
    throw new NaruError(
      "not_implemented",
      `"${text}": addresses by ssh are not supported yet; forward the socket instead: ` +
        "ssh -nNT -L /tmp/engine.sock:/run/naru/naru.sock HOST, then -H unix:///tmp/engine.sock",
    );
  }
  if (/^[a-z]+:\/\//.test(text)) {
    throw new NaruError(
      "invalid_argument",
      `unable to parse the engine address "${text}": use unix://PATH or tcp://HOST:PORT`,
    );
  }
  return parseTcp(`tcp://${text}`, tls);
};
