/** Flags over environment over file over defaults, parsed once to one frozen value. */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { NaruError } from "#lib/errors.ts";
import type { LogLevel } from "#lib/log.ts";
import { OPTIONS, type OptionSpec } from "#daemon/options.ts";
import { parseBytes } from "#spec/docker/bytes.ts";

export interface TlsConfig {
  readonly verifiesClients: boolean;
  readonly caPath: string | undefined;
  readonly certPath: string;
  readonly keyPath: string;
}

export interface RuntimeEntry {
  readonly path: string;
  readonly args: readonly string[];
}

export interface DaemonConfig {
  readonly hosts: readonly string[];
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidFile: string | undefined;
  readonly group: string;
  readonly tls: TlsConfig | undefined;
  readonly allowsInsecureTcp: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
  readonly defaultRuntime: string | undefined;
  readonly runtimes: Readonly<Record<string, RuntimeEntry>>;
  readonly bip: string | undefined;
  readonly mtu: number | undefined;
  readonly cgroupParent: string | undefined;
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly shmSizeBytes: number;
  readonly labels: readonly string[];
  readonly seccompProfile: string | undefined;
  readonly hasInit: boolean;
  readonly shutdownTimeoutSeconds: number;
  readonly configFile: string | undefined;
}

export const DEFAULT_DATA_ROOT = "/var/lib/naru";
export const DEFAULT_EXEC_ROOT = "/run/naru";
const DEFAULT_CONFIG_FILE = "/etc/naru/daemon.json";
const SHM_SIZE_BYTES = 64 * 1024 * 1024;

type Values = Map<string, unknown>;

const invalid = (message: string, cause?: unknown): never => {
  throw new NaruError("invalid_argument", message, cause === undefined ? {} : { cause });
};

const checkKind = (spec: OptionSpec, value: unknown, where: string): unknown => {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const isRight = {
    string: typeof value === "string",
    boolean: typeof value === "boolean",
    number: typeof value === "number" && Number.isInteger(value),
    list: Array.isArray(value) && value.every((item) => typeof item === "string"),
    map: isObject && Object.values(value as object).every((item) => typeof item === "string"),
    object: isObject,
  }[spec.kind];
  return isRight ? value : invalid(`${where}: "${spec.key}" must be a ${spec.kind}`);
};

const readFileValues = (path: string, isRequired: boolean): Values => {
  const values: Values = new Map();
  if (!existsSync(path)) {
    return isRequired ? invalid(`config file "${path}" does not exist`) : values;
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    return invalid(`config file "${path}" is not JSON: ${String(cause)}`, cause);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return invalid(`config file "${path}" must hold a JSON object`);
  }
  for (const [key, value] of Object.entries(json)) {
    const spec = OPTIONS.find((candidate) => candidate.key === key);
    if (spec === undefined) {
      return invalid(
        `config file "${path}": unknown key "${key}" (known: ${OPTIONS.map((o) => o.key).join(", ")})`,
      );
    }
    values.set(key, checkKind(spec, value, `config file "${path}"`));
  }
  return values;
};

const convertFlag = (spec: OptionSpec, raw: string | boolean | (string | boolean)[]): unknown => {
  const list = Array.isArray(raw) ? raw.map(String) : [String(raw)];
  switch (spec.kind) {
    case "boolean":
      return raw === true || list.at(-1) === "true";
    case "number":
      return /^\d+$/.test(list.at(-1) ?? "")
        ? Number(list.at(-1))
        : invalid(`--${spec.flag} must be a number`);
    case "list":
      return list;
    case "map":
      return Object.fromEntries(
        list.map((item) => {
          const at = item.indexOf("=");
          return at > 0
            ? [item.slice(0, at), item.slice(at + 1)]
            : invalid(`--${spec.flag} "${item}" must be key=value`);
        }),
      );
    case "object":
      return invalid(`--${spec.flag} can only be set in the config file`);
    case "string":
      return list.at(-1);
  }
};

/** "--tls-verify=true" and "--tlsverify" both work for booleans, as with dockerd. */
const readFlagValues = (argv: readonly string[]): Values => {
  const options = Object.fromEntries(
    OPTIONS.map((spec) => [
      spec.flag,
      {
        type: spec.kind === "boolean" ? ("boolean" as const) : ("string" as const),
        multiple: spec.kind === "list" || spec.kind === "map",
        ...(spec.short === undefined ? {} : { short: spec.short }),
      },
    ]),
  );
  const booleans = new Set(
    OPTIONS.filter((spec) => spec.kind === "boolean").map((spec) => spec.flag),
  );
  const args = argv.flatMap((arg) => {
    const match = /^--([\w-]+)=(true|false)$/.exec(arg);
    if (match === null || !booleans.has(match[1] ?? "")) return [arg];
    return match[2] === "true" ? [`--${match[1]}`] : [];
  });
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args, options, strict: true, allowPositionals: false });
  } catch (cause) {
    return invalid(
      `${cause instanceof Error ? cause.message : String(cause)}\nRun 'naru daemon --help' for the options`,
      cause,
    );
  }
  const values: Values = new Map();
  for (const spec of OPTIONS) {
    const raw = parsed.values[spec.flag];
    if (raw !== undefined) values.set(spec.key, convertFlag(spec, raw));
  }
  return values;
};

const assertFixed = (values: Values): void => {
  if (values.get("live-restore") === false)
    invalid('"live-restore" cannot be switched off: naru\'s containers always outlive the daemon');
  if (values.get("userland-proxy") === true)
    invalid('"userland-proxy" cannot be switched on: naru publishes ports in the kernel');
  const driver = values.get("storage-driver");
  if (driver !== undefined && driver !== "overlay2")
    invalid(`storage driver "${String(driver)}" is not supported: use "overlay2"`);
};

const tlsOf = (values: Values): TlsConfig | undefined => {
  const text = (key: string): string | undefined => values.get(key) as string | undefined;
  const certPath = text("tlscert");
  const keyPath = text("tlskey");
  const verifiesClients = values.get("tlsverify") === true;
  if (certPath === undefined && keyPath === undefined && !verifiesClients) return undefined;
  if (certPath === undefined || keyPath === undefined)
    return invalid("TLS needs both --tlscert and --tlskey");
  if (verifiesClients && text("tlscacert") === undefined)
    return invalid("--tlsverify needs --tlscacert");
  return { verifiesClients, caPath: text("tlscacert"), certPath, keyPath };
};

const oneOf = <T extends string>(key: string, value: unknown, allowed: readonly T[]): T =>
  allowed.find((item) => item === value) ??
  invalid(`"${key}" must be one of ${allowed.join(", ")}, not "${String(value)}"`);

const runtimesOf = (values: Values): Record<string, RuntimeEntry> => {
  const given = (values.get("runtimes") ?? {}) as Record<
    string,
    { path?: unknown; runtimeArgs?: unknown }
  >;
  return Object.fromEntries(
    Object.entries(given).map(([name, entry]) => {
      if (typeof entry?.path !== "string") return invalid(`runtime "${name}" needs a "path"`);
      const args = Array.isArray(entry.runtimeArgs) ? entry.runtimeArgs.map(String) : [];
      return [name, { path: entry.path, args }];
    }),
  );
};

/** Throws invalid_argument naming the option. */
export const parseDaemonConfig = (argv: readonly string[]): DaemonConfig => {
  const flags = readFlagValues(argv);
  const configFile = (flags.get("config-file") as string | undefined) ?? DEFAULT_CONFIG_FILE;
  const file = readFileValues(configFile, flags.has("config-file"));
  const values: Values = new Map([...file, ...flags]);
  assertFixed(values);
  const text = (key: string): string | undefined => values.get(key) as string | undefined;
  const execRoot = resolve(text("exec-root") ?? DEFAULT_EXEC_ROOT);
  const shm = text("default-shm-size");
  const level = values.get("debug") === true ? "debug" : (text("log-level") ?? "info");
  return Object.freeze<DaemonConfig>({
    hosts: (values.get("hosts") as string[] | undefined) ?? [`unix://${execRoot}/naru.sock`],
    dataRoot: resolve(text("data-root") ?? DEFAULT_DATA_ROOT),
    execRoot,
    pidFile: text("pidfile"),
    group: text("group") ?? "docker",
    tls: tlsOf(values),
    allowsInsecureTcp: values.get("insecure-tcp") === true,
    logLevel: oneOf<LogLevel>("log-level", level === "warning" ? "warn" : level, [
      "debug",
      "info",
      "warn",
      "error",
    ]),
    logFormat: oneOf("log-format", text("log-format") ?? "text", ["text", "json"] as const),
    defaultRuntime: text("default-runtime"),
    runtimes: runtimesOf(values),
    bip: text("bip"),
    mtu: values.get("mtu") as number | undefined,
    cgroupParent: text("cgroup-parent"),
    logDriver: text("log-driver") ?? "json-file",
    logOptions: (values.get("log-opts") as Record<string, string> | undefined) ?? {},
    shmSizeBytes: shm === undefined ? SHM_SIZE_BYTES : parseBytes(shm),
    labels: (values.get("labels") as string[] | undefined) ?? [],
    seccompProfile: text("seccomp-profile"),
    hasInit: values.get("init") === true,
    shutdownTimeoutSeconds: (values.get("shutdown-timeout") as number | undefined) ?? 15,
    configFile: existsSync(configFile) ? configFile : undefined,
  });
};

/** The only other word of the environment the daemon listens to. */
export const environment = (name: "NARU_FAILPOINT" | "NOTIFY_SOCKET"): string | undefined =>
  process.env[name];
