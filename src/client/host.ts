/**
 * Which engine a command speaks to. In order: the `--host` flag, the `--context` flag, NARU_HOST,
 * DOCKER_HOST, DOCKER_CONTEXT, the current context of the configuration, naru's own socket.
 */
import { parseHost } from "#client/address.ts";
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

const configuredContext = async (options: HostOptions): Promise<string | undefined> => {
  const named = options.env["DOCKER_CONTEXT"];
  if (named !== undefined && named !== "") return named;
  const file = Bun.file(`${options.configFolder}/config.json`);
  if (!(await file.exists())) return undefined;
  // One that is no JSON is told by who reads the rest of it, and names no context.
  const config: unknown = await file.json().catch(() => undefined);
  const current: unknown =
    typeof config === "object" && config !== null
      ? Reflect.get(config, "currentContext")
      : undefined;
  return typeof current === "string" && current !== "" ? current : undefined;
};

/** The context in use, whether it can be reached or is there at all; "default" when an engine is named otherwise. */
export const currentContext = async (options: HostOptions): Promise<string> => {
  const { env, host, context } = options;
  if (context !== undefined) return context;
  if (host !== undefined || (env["NARU_HOST"] || env["DOCKER_HOST"] || "") !== "") return "default";
  return (await configuredContext(options)) ?? "default";
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
