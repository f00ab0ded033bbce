/**
 * Which engine a command speaks to. In order: the `--host` flag, the `--context` flag, NARU_HOST,
 * DOCKER_HOST, DOCKER_CONTEXT, the current context of the configuration, naru's own socket.
 */
import type { Address, TlsMaterial } from "#client/connection.ts";
import { contextEndpoint } from "#client/contexts.ts";
import { NaruError } from "#lib/errors.ts";

export const DEFAULT_SOCKET = "/run/naru/naru.sock";

export interface HostOptions {
  readonly host?: string;
  readonly context?: string;
  readonly tls?: boolean;
  readonly tlsVerify?: boolean;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Folder of config.json and contexts; `~/.docker` by default. */
  readonly configFolder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Host {
  readonly address: Address;
  /** False when nobody named an engine: then the CLI may start one. */
  readonly isNamed: boolean;
  /** The context's name, "default" when none is used. */
  readonly context: string;
}

const fileText = async (path: string, isRequired: boolean): Promise<string | undefined> => {
  const file = Bun.file(path);
  if (await file.exists()) return file.text();
  if (!isRequired) return undefined;
  throw new NaruError("not_found", `cannot read the TLS file "${path}": there is no such file`);
};

const flagTls = async (options: HostOptions): Promise<TlsMaterial | undefined> => {
  const { env } = options;
  const isVerified = options.tlsVerify ?? (env["DOCKER_TLS_VERIFY"] ?? "") !== "";
  const isOn = isVerified || options.tls === true || (env["DOCKER_TLS"] ?? "") !== "";
  if (!isOn) return undefined;
  const folder = env["DOCKER_CERT_PATH"] ?? options.configFolder;
  const [ca, cert, key] = await Promise.all([
    fileText(options.caFile ?? `${folder}/ca.pem`, options.caFile !== undefined),
    fileText(options.certFile ?? `${folder}/cert.pem`, options.certFile !== undefined),
    fileText(options.keyFile ?? `${folder}/key.pem`, options.keyFile !== undefined),
  ]);
  return {
    isVerified,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
};

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

const configuredContext = async (options: HostOptions): Promise<string | undefined> => {
  const named = options.env["DOCKER_CONTEXT"];
  if (named !== undefined && named !== "") return named;
  const file = Bun.file(`${options.configFolder}/config.json`);
  if (!(await file.exists())) return undefined;
  try {
    const config: unknown = await file.json();
    const current: unknown =
      typeof config === "object" && config !== null
        ? Reflect.get(config, "currentContext")
        : undefined;
    return typeof current === "string" && current !== "" ? current : undefined;
  } catch (cause) {
    throw new NaruError(
      "invalid_argument",
      `"${options.configFolder}/config.json" is not valid JSON; correct or remove it`,
      { cause },
    );
  }
};

/** Reads the configuration only when neither flag nor environment name a host. */
export const resolveHost = async (options: HostOptions): Promise<Host> => {
  const { env } = options;
  if (options.host !== undefined && options.context !== undefined) {
    throw new NaruError(
      "invalid_argument",
      "conflicting options: cannot specify both --host and --context",
    );
  }
  const host =
    options.host ??
    (options.context === undefined ? env["NARU_HOST"] || env["DOCKER_HOST"] : undefined);
  if (host !== undefined && host !== "") {
    const address = parseHost(host, await flagTls(options));
    return { address, isNamed: true, context: "default" };
  }
  const context = options.context ?? (await configuredContext(options));
  if (context !== undefined && context !== "default") {
    const address = await contextEndpoint(options.configFolder, context);
    return { address, isNamed: true, context };
  }
  return { address: { kind: "unix", path: DEFAULT_SOCKET }, isNamed: false, context: "default" };
};
