/** --env, --env-file, --label, --label-file. */
import type { Environment } from "#cli/context.ts";
import { readGiven } from "#cli/read-file.ts";
import { cut } from "#cli/run-options/csv.ts";

const readLines = async (path: string): Promise<string[]> => {
  const bytes = await readGiven(path);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error(`env file ${path} contains invalid utf8 bytes`, { cause });
  }
  return text.replace(/^\uFEFF/, "").split(/\r?\n/);
};

/** Lines `KEY=value`; a bare KEY takes its value from `lookup`, and is left out without one. */
const readFile = async (
  path: string,
  lookup: ((name: string) => string | undefined) | undefined,
): Promise<string[]> => {
  const entries: string[] = [];
  for (const raw of await readLines(path)) {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const [name, value] = cut(line);
    if (name === "") throw new Error(`no variable name on line '${line}'`);
    if (/\s/.test(name)) throw new Error(`variable '${name}' contains whitespaces`);
    if (value !== undefined || lookup === undefined) {
      entries.push(line);
    } else {
      const known = lookup(name);
      if (known !== undefined) entries.push(`${name}=${known}`);
    }
  }
  return entries;
};

const readFiles = async (
  paths: readonly string[],
  flag: string,
  lookup: ((name: string) => string | undefined) | undefined,
): Promise<string[]> => {
  const entries: string[] = [];
  for (const path of paths) {
    try {
      entries.push(...(await readFile(path, lookup)));
    } catch (error) {
      throw new Error(`${flag}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }
  return entries;
};

export const parseEnv = (text: string): string => {
  if (text === "" || text.startsWith("=")) throw new Error(`invalid environment variable: ${text}`);
  return text;
};

/** Files first, then flags; a bare name is taken from this process, or unset in the container. */
export const collectEnv = async (
  files: readonly string[],
  values: readonly string[],
  env: Environment,
): Promise<string[]> => [
  ...(await readFiles(files, "--env-file", (name) => env[name])),
  ...values.map((text) => {
    const known = text.includes("=") ? undefined : env[text];
    return known === undefined ? text : `${text}=${known}`;
  }),
];

export const collectLabels = async (
  files: readonly string[],
  values: readonly string[],
): Promise<Record<string, string>> => {
  const lines = [...(await readFiles(files, "--label-file", undefined)), ...values];
  return Object.fromEntries(
    lines.map((line) => {
      const [name, value] = cut(line);
      return [name, value ?? ""];
    }),
  );
};

type Proxies = Readonly<Record<string, string>>;

const PROXY_NAMES: readonly (readonly [string, string])[] = [
  ["httpProxy", "HTTP_PROXY"],
  ["httpsProxy", "HTTPS_PROXY"],
  ["noProxy", "NO_PROXY"],
  ["ftpProxy", "FTP_PROXY"],
  ["allProxy", "ALL_PROXY"],
];

/** The proxies of config.json as variables, unless the command line sets them. */
export const proxyEnv = (proxies: Proxies | undefined, env: readonly string[]): string[] => {
  const given = new Set(env.map((line) => cut(line)[0]));
  return PROXY_NAMES.flatMap(([key, name]) => {
    const value = proxies?.[key];
    if (value === undefined || value === "") return [];
    return [name, name.toLowerCase()]
      .filter((variable) => !given.has(variable))
      .map((variable) => `${variable}=${value}`);
  });
};
