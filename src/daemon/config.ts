/** Flags over environment over file over defaults, parsed once to one frozen value. */
import type { Entitlement } from "#build/entitlements.ts";
import type { DoorConfig, DoorListen } from "#door/door.ts";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { toNaruError } from "#lib/errors.ts";
import type { LogLevel } from "#lib/log.ts";
import {
  type OptionValues,
  invalid,
  readFileValues,
  readFlagValues,
} from "#daemon/option-values.ts";
import { buildEntitlementsOf } from "#daemon/build-config.ts";
import { registryOptionsOf } from "#daemon/registry-config.ts";
import type { RegistryOptions } from "#image/dependencies.ts";
import { validateLogOptions } from "#log/options.ts";
import type { LayerForm } from "#snapshot/layer-form.ts";
import { parseIpv4 } from "#network/ipv4.ts";
import { type SubnetPool, parsePool } from "#network/subnet.ts";
import { parseDurationNs } from "#lib/duration.ts";
import { parseBytes } from "#spec/docker/bytes.ts";

export interface TlsConfig {
  readonly verifiesClients: boolean;
  readonly caPath: string | undefined;
  readonly certPath: string;
  readonly keyPath: string;
}

export interface RuntimeEntry {
  readonly path: string;
}

export interface DaemonConfig {
  readonly hosts: readonly string[];
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidFile: string | undefined;
  /** undefined: "docker" where the host has it. */
  readonly group: string | undefined;
  readonly tls: TlsConfig | undefined;
  readonly allowsInsecureTcp: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
  readonly defaultRuntime: string | undefined;
  readonly runtimes: Readonly<Record<string, RuntimeEntry>>;
  readonly bip: string | undefined;
  readonly mtu: number | undefined;
  /** Where ports go that name no host address. */
  readonly publishIp: string;
  /** Docker's own where none is given. */
  readonly pools: readonly SubnetPool[] | undefined;
  readonly cgroupParent: string | undefined;
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly shmSizeBytes: number;
  readonly labels: readonly string[];
  readonly seccompProfile: string | undefined;
  readonly hasInit: boolean;
  readonly shutdownTimeoutSeconds: number;
  readonly configFile: string | undefined;
  readonly registries: RegistryOptions;
  /** undefined: the usual place, where nothing need be. */
  readonly trustPolicy: string | undefined;
  /** How long removed things are kept; 0: not at all. */
  readonly undoTimeMs: number;
  /** undefined: no budget. */
  readonly diskBudgetBytes: number | undefined;
  readonly diskBudgetKeep: readonly string[];
  /** undefined: as the kernel can. */
  readonly layerForm: LayerForm | undefined;
  /** ADDRESS:PORT at which other machines may pull this engine's images. */
  readonly serveImages: string | undefined;
  /** undefined: off. */
  readonly frontDoor: DoorConfig | undefined;
  /** What clients may be granted in builds. */
  readonly buildEntitlements: ReadonlySet<Entitlement>;
  /** Where the host asks for names of containers; undefined: nowhere. */
  readonly hostDns: { readonly address: string; readonly port: number } | undefined;
}

export const DEFAULT_DATA_ROOT = "/var/lib/naru";
export const DEFAULT_EXEC_ROOT = "/run/naru";
export const DEFAULT_TRUST_POLICY = "/etc/naru/trust.json";
const DEFAULT_CONFIG_FILE = "/etc/naru/daemon.json";
const SHM_SIZE_BYTES = 64 * 1024 * 1024;

const assertFixed = (values: OptionValues): void => {
  if (values.get("live-restore") === false)
    invalid('"live-restore" cannot be switched off: naru\'s containers always outlive the daemon');
  if (values.get("userland-proxy") === true)
    invalid('"userland-proxy" cannot be switched on: naru publishes ports in the kernel');
  const driver = values.get("storage-driver") as string | undefined;
  if (driver !== undefined && driver !== "overlay2")
    invalid(`storage driver "${driver}" is not supported: use "overlay2"`);
};

const tlsOf = (values: OptionValues): TlsConfig | undefined => {
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

const runtimesOf = (values: OptionValues): Record<string, RuntimeEntry> => {
  const given = (values.get("runtimes") ?? {}) as Record<string, Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(given).map(([name, entry]) => {
      const path = entry?.["path"];
      if (typeof path !== "string" || path === "")
        return invalid(`runtime "${name}" needs a "path"`);
      const other = Object.keys(entry).find((key) => key !== "path");
      if (other !== undefined)
        return invalid(
          `runtime "${name}": "${other}" is not supported: let "path" name a script that runs it with what it needs`,
        );
      return [name, { path }];
    }),
  );
};

const logOf = (values: OptionValues): { logDriver: string; logOptions: Record<string, string> } => {
  const logDriver = (values.get("log-driver") as string | undefined) ?? "json-file";
  const logOptions = (values.get("log-opts") as Record<string, string> | undefined) ?? {};
  validateLogOptions(logDriver, logOptions);
  return { logDriver, logOptions };
};

const publishIpOf = (values: OptionValues): string => {
  const ip = values.get("ip") as string | undefined;
  const policy = oneOf("publish-policy", values.get("publish-policy") ?? "open", [
    "open",
    "loopback",
  ] as const);
  if (ip !== undefined && parseIpv4(ip) === undefined) invalid(`"ip" must be an IPv4 address`);
  if (policy === "loopback") {
    return ip === undefined || ip.startsWith("127.")
      ? (ip ?? "127.0.0.1")
      : invalid(`"ip" ${ip} and "publish-policy" loopback contradict each other`);
  }
  return ip ?? "0.0.0.0";
};

const poolsOf = (values: OptionValues): readonly SubnetPool[] | undefined => {
  const given = values.get("default-address-pools") as Record<string, unknown>[] | undefined;
  const pools = given?.map(({ base, size, ...rest }) => {
    const [other] = Object.keys(rest);
    if (other !== undefined) return invalid(`"default-address-pools": "${other}" is not supported`);
    return parsePool(String(base), Number(size));
  });
  return pools?.length === 0 ? invalid('"default-address-pools" is empty') : pools;
};

const rootOf = (values: OptionValues, key: string, fallback: string): string => {
  const path = (values.get(key) as string | undefined) ?? fallback;
  return path === "" ? invalid(`"${key}" is empty: it must be a directory`) : resolve(path);
};

const hostsOf = (values: OptionValues, execRoot: string): readonly string[] => {
  const hosts = values.get("hosts") as string[] | undefined;
  if (hosts?.length === 0) return invalid('"hosts" is empty: the daemon would hear nobody');
  return hosts ?? [`unix://${execRoot}/naru.sock`];
};

const labelsOf = (values: OptionValues): readonly string[] => {
  const labels = (values.get("labels") as string[] | undefined) ?? [];
  const wrong = labels.find((label) => label.indexOf("=") < 1);
  return wrong === undefined ? labels : invalid(`label "${wrong}" must be key=value`);
};

const sizeOf = (text: string | undefined): number => {
  if (text === undefined) return SHM_SIZE_BYTES;
  try {
    return parseBytes(text);
  } catch (cause) {
    return invalid(`"default-shm-size": ${toNaruError(cause).message}`, cause);
  }
};

/** Disk sizes are decimal: 40GB is 40 · 10⁹. */
const diskBudgetOf = (text: string | undefined): number | undefined => {
  if (text === undefined || text === "off") return undefined;
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?)b?$/i.exec(text);
  const factor = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 }[(match?.[2] ?? "").toLowerCase()];
  if (match === null || factor === undefined)
    return invalid(`"disk-budget" must be a size such as 40GB, or off, not "${text}"`);
  return Math.trunc(Number(match[1]) * factor);
};

const undoTimeOf = (text: string | undefined): number => {
  if (text === undefined || text === "off" || text === "0") return 0;
  const ns = parseDurationNs(text);
  if (ns === undefined || ns < 0n)
    return invalid(`"undo-time" must be a duration such as 24h or 30m, or off, not "${text}"`);
  return Number(ns / 1_000_000n);
};

const layerFormOf = (text: string | undefined): LayerForm | undefined => {
  const form = oneOf("layer-form", text ?? "auto", ["auto", "erofs", "directory"] as const);
  return form === "auto" ? undefined : form;
};

const logLevelOf = (values: OptionValues): LogLevel => {
  if (values.get("debug") === true) return "debug";
  const level = values.get("log-level") ?? "info";
  const levels = ["debug", "info", "warn", "error"] as const;
  return oneOf("log-level", level === "warning" ? "warn" : level, levels);
};

const LOOPBACKS = ["127.0.0.1", "::1"];

const doorListenOf = (values: OptionValues, key: string, port: number): DoorListen | undefined => {
  const text = (values.get(key) as string | undefined) ?? String(port);
  if (text === "off") return undefined;
  const match = /^(?:(\[[0-9a-fA-F:]+\]|[0-9.]+):)?(\d{1,5})$/.exec(text);
  const asked = Number(match?.[2]);
  if (match === null || asked < 1 || asked > 65_535)
    return invalid(`"${key}" must be PORT, ADDRESS:PORT or off, not "${text}"`);
  const address = match[1]?.replaceAll(/[[\]]/g, "");
  return { addresses: address === undefined ? LOOPBACKS : [address], port: asked };
};

const hostDnsOf = (text: string | undefined): DaemonConfig["hostDns"] => {
  if (text === undefined || text === "off") return undefined;
  const match = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  const address = match?.[1] ?? "";
  if (parseIpv4(address) === undefined || !(port >= 1 && port <= 65_535))
    return invalid(
      `"host-dns" must be a loopback address and a port such as 127.0.0.153:53, not "${text}"`,
    );
  return { address, port };
};

const frontDoorOf = (values: OptionValues, dataRoot: string): DoorConfig | undefined => {
  const http = doorListenOf(values, "front-door-http", 80);
  const https = doorListenOf(values, "front-door-https", 443);
  if (values.get("front-door") !== true) return undefined;
  return { http, https, directory: `${dataRoot}/front-door` };
};

/** Throws invalid_argument naming the option. */
export const parseDaemonConfig = (argv: readonly string[]): DaemonConfig => {
  const flags = readFlagValues(argv);
  const configFile = (flags.get("config-file") as string | undefined) ?? DEFAULT_CONFIG_FILE;
  const file = readFileValues(configFile, flags.has("config-file"));
  const values: OptionValues = new Map([...file, ...flags]);
  assertFixed(values);
  const text = (key: string): string | undefined => values.get(key) as string | undefined;
  const execRoot = rootOf(values, "exec-root", DEFAULT_EXEC_ROOT);
  const dataRoot = rootOf(values, "data-root", DEFAULT_DATA_ROOT);
  return Object.freeze<DaemonConfig>({
    hosts: hostsOf(values, execRoot),
    dataRoot,
    execRoot,
    pidFile: text("pidfile"),
    group: text("group"),
    tls: tlsOf(values),
    allowsInsecureTcp: values.get("insecure-tcp") === true,
    logLevel: logLevelOf(values),
    logFormat: oneOf("log-format", text("log-format") ?? "text", ["text", "json"] as const),
    defaultRuntime: text("default-runtime"),
    runtimes: runtimesOf(values),
    bip: text("bip"),
    mtu: values.get("mtu") as number | undefined,
    publishIp: publishIpOf(values),
    pools: poolsOf(values),
    cgroupParent: text("cgroup-parent"),
    ...logOf(values),
    shmSizeBytes: sizeOf(text("default-shm-size")),
    labels: labelsOf(values),
    seccompProfile: text("seccomp-profile"),
    hasInit: values.get("init") === true,
    shutdownTimeoutSeconds: (values.get("shutdown-timeout") as number | undefined) ?? 15,
    configFile: existsSync(configFile) ? configFile : undefined,
    diskBudgetBytes: diskBudgetOf(text("disk-budget")),
    diskBudgetKeep: (values.get("disk-budget-keep") as string[] | undefined) ?? [],
    undoTimeMs: undoTimeOf(text("undo-time")),
    registries: registryOptionsOf(values, process.env),
    trustPolicy: text("trust-policy"),
    layerForm: layerFormOf(text("layer-form")),
    serveImages: text("serve-images"),
    frontDoor: frontDoorOf(values, dataRoot),
    hostDns: hostDnsOf(text("host-dns")),
    buildEntitlements: buildEntitlementsOf(values),
  });
};

export interface ServiceManager {
  /** Where sd_notify(3) goes. */
  readonly notifySocket: string | undefined;
  /** Sockets that were passed, as sd_listen_fds(3) numbers them: from 3 on. */
  readonly passedSocketCount: number;
}

/**
 * What a service manager told this process. It is taken out of the environment, so that no child that is given it takes it
 * for its own. (One that is given none has what this process began with: hence the runtimes' own, runtime/command.ts.)
 */
export const takeServiceManager = (): ServiceManager => {
  const { NOTIFY_SOCKET, LISTEN_PID, LISTEN_FDS } = process.env;
  for (const name of ["NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"])
    delete process.env[name];
  const isForUs = LISTEN_PID === String(process.pid) && /^\d+$/.test(LISTEN_FDS ?? "");
  return { notifySocket: NOTIFY_SOCKET, passedSocketCount: isForUs ? Number(LISTEN_FDS) : 0 };
};

/** The only other word of the environment the daemon listens to. */
export const environment = (name: "NARU_FAILPOINT"): string | undefined => process.env[name];

/** For programs beside the daemon that reach out: they have the same proxies. */
export const wholeEnvironment = (): Readonly<Record<string, string | undefined>> => process.env;
