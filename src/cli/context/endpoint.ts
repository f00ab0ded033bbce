/** `--docker host=…,ca=…,cert=…,key=…,skip-tls-verify=…`: the engine of a context. */
import { parseHost } from "#client/address.ts";
import type { ContextEndpoint } from "#client/contexts.ts";
import { readTlsFiles, type TlsFiles } from "#client/context-store.ts";
import { readContext } from "#client/contexts.ts";
import { DEFAULT_SOCKET } from "#client/host.ts";
import type { CliContext } from "#cli/context.ts";
import { parseBool } from "#cli/framework/flags.ts";
import { cut, parseCsv } from "#cli/run-options/csv.ts";
import { NaruError } from "#lib/errors.ts";

export interface ChosenEndpoint {
  readonly endpoint: ContextEndpoint;
  readonly tls: TlsFiles;
}

const KEYS = new Set(["host", "ca", "cert", "key", "skip-tls-verify", "from"]);

const parseKeys = (text: string): Map<string, string> => {
  const found = new Map<string, string>();
  for (const field of parseCsv(text)) {
    const [name, value] = cut(field);
    if (!KEYS.has(name)) {
      throw new NaruError(
        "invalid_argument",
        `unrecognized config key: ${name}; use ${[...KEYS].join(", ")}`,
      );
    }
    found.set(name, value ?? "");
  }
  return found;
};

/** The engine of a context that is there; "default" is what the environment names. */
export const endpointOf = async (context: CliContext, name: string): Promise<ChosenEndpoint> => {
  if (name === "default") {
    const { NARU_HOST, DOCKER_HOST } = context.env;
    const Host = (NARU_HOST ?? "") || (DOCKER_HOST ?? "") || `unix://${DEFAULT_SOCKET}`;
    return { endpoint: { Host, SkipTLSVerify: false }, tls: {} };
  }
  const { Endpoints } = await readContext(context.configFolder, name);
  return {
    endpoint: Endpoints?.["docker"] ?? {},
    tls: await readTlsFiles(context.configFolder, name),
  };
};

const pem = async (path: string): Promise<string> => {
  const file = Bun.file(path);
  if (!(await file.exists())) {
    throw new NaruError("not_found", `cannot read the TLS file "${path}": there is no such file`);
  }
  return file.text();
};

/** Throws invalid_argument for an unknown key or an address that is none. */
export const parseEndpoint = async (context: CliContext, text: string): Promise<ChosenEndpoint> => {
  const keys = parseKeys(text);
  const from = keys.get("from");
  if (from !== undefined) return endpointOf(context, from);
  const host = keys.get("host") ?? "";
  parseHost(host);
  const tls: Record<string, string> = {};
  for (const part of ["ca", "cert", "key"] as const) {
    const path = keys.get(part);
    if (path !== undefined && path !== "") tls[`${part}.pem`] = await pem(path);
  }
  const skip = keys.get("skip-tls-verify");
  return {
    endpoint: { Host: host, SkipTLSVerify: skip !== undefined && parseBool(skip) },
    tls,
  };
};
