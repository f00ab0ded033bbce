/** The query of POST /build, decoded: everything is understood or refused by name. */
import type { BuildRequest } from "#build/build.ts";
import type { Call } from "#api/docker/call.ts";
import { parseRegistryConfig } from "#spec/docker/registry-auth.ts";
import { platformOf } from "#api/docker/image/platform.ts";
import { NaruError } from "#lib/errors.ts";
import type { Ulimit } from "#spec/docker/host-config.ts";

type Options = Omit<
  BuildRequest,
  | "context"
  | "dockerfile"
  | "signal"
  | "onEvent"
  | "namedContexts"
  | "secrets"
  | "sshSockets"
  | "sourceDateEpoch"
>;

export interface ClassicRequest {
  readonly options: Options;
  readonly dockerfilePath: string;
  readonly remote: string;
  readonly isQuiet: boolean;
  readonly isRemoved: boolean;
  readonly isForceRemoved: boolean;
  readonly isExplained: boolean;
}

const json = (call: Call, name: string): unknown => {
  const text = call.query.text(name);
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new NaruError("invalid_argument", `error reading ${name}: ${String(cause)}`, { cause });
  }
};

const stringMap = (call: Call, name: string): [string, string | undefined][] => {
  const value = json(call, name) ?? {};
  const isMap = typeof value === "object" && !Array.isArray(value);
  const entries = isMap ? Object.entries(value) : [];
  const isGood = isMap && entries.every(([, item]) => item === null || typeof item === "string");
  if (!isGood) {
    throw new NaruError("invalid_argument", `error reading ${name}: expected a map of strings`);
  }
  return entries.map(([key, item]) => [key, typeof item === "string" ? item : undefined]);
};

const ulimitsOf = (call: Call): Ulimit[] => {
  const value = json(call, "ulimits") ?? [];
  if (!Array.isArray(value)) {
    throw new NaruError("invalid_argument", "error reading ulimits: expected a list");
  }
  return value.map((item: Partial<Ulimit>) => ({
    Name: String(item.Name ?? ""),
    Soft: Number(item.Soft ?? 0),
    Hard: Number(item.Hard ?? 0),
  }));
};

/** Only what differs from the default: normalizing fills in the rest. */
const resourcesOf = (call: Call): BuildRequest["resources"] => {
  const { query } = call;
  const numbers: Record<string, number> = {
    Memory: query.integer("memory") ?? 0,
    MemorySwap: query.integer("memswap") ?? 0,
    CpuShares: query.integer("cpushares") ?? 0,
    CpuPeriod: query.integer("cpuperiod") ?? 0,
    CpuQuota: query.integer("cpuquota") ?? 0,
    ShmSize: query.integer("shmsize") ?? 0,
  };
  const ulimits = ulimitsOf(call);
  return {
    ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== 0)),
    ...(query.text("cpusetcpus") === "" ? {} : { CpusetCpus: query.text("cpusetcpus") }),
    ...(query.text("cpusetmems") === "" ? {} : { CpusetMems: query.text("cpusetmems") }),
    ...(query.text("cgroupparent") === "" ? {} : { CgroupParent: query.text("cgroupparent") }),
    ...(ulimits.length === 0 ? {} : { Ulimits: ulimits }),
  };
};

const networkOf = (call: Call): BuildRequest["network"] => {
  const mode = call.query.text("networkmode");
  if (["", "default", "bridge"].includes(mode)) return "default";
  if (mode === "none" || mode === "host") return mode;
  if (mode.startsWith("container:")) {
    throw new NaruError(
      "not_implemented",
      `network mode "${mode}" is not supported for builds: use default, none, host or a network's name`,
    );
  }
  return { name: call.backend.networks.get(mode).Name };
};

const refuseUnsupported = (call: Call): void => {
  const { query } = call;
  if (query.flag("squash")) {
    throw new NaruError("invalid_argument", "squash is only supported with experimental mode");
  }
  const version = query.text("version");
  if (version !== "" && version !== "1") {
    throw new NaruError("invalid_argument", `builder version "${version}" is not supported`);
  }
  const outputs = json(call, "outputs") ?? [];
  if (!Array.isArray(outputs) || outputs.length > 0) {
    throw new NaruError("not_implemented", "outputs need BuildKit's protocol: leave --output out");
  }
  const isolation = query.text("isolation");
  if (isolation !== "" && isolation !== "default") {
    throw new NaruError("invalid_argument", `unsupported isolation: "${isolation}"`);
  }
  const securityOptions = json(call, "securityopt") ?? [];
  if (!Array.isArray(securityOptions) || securityOptions.length > 0) {
    throw new NaruError(
      "invalid_argument",
      "The daemon on this platform does not support setting security options on build",
    );
  }
};

const cacheImagesOf = (call: Call): string[] => {
  const value = json(call, "cachefrom") ?? [];
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) return value;
  throw new NaruError("invalid_argument", "error reading cachefrom: expected a list of images");
};

/** Throws before the body is read. */
export const decodeBuild = (call: Call): ClassicRequest => {
  refuseUnsupported(call);
  const { query } = call;
  const labels = stringMap(call, "labels").map(([key, value]) => [key, value ?? ""]);
  return {
    options: {
      target: query.text("target") || undefined,
      buildArgs: new Map(stringMap(call, "buildargs")),
      labels: Object.fromEntries(labels) as Record<string, string>,
      tags: query.all("t").filter((tag) => tag !== ""),
      platform: call.minor < 32 ? undefined : platformOf(call, "platform"),
      isCacheIgnored: query.flag("nocache"),
      isPulled: query.flag("pull"),
      credentials: parseRegistryConfig(call.field("x-registry-config")),
      uncachedStages: query.all("nocachefilter"),
      network: networkOf(call),
      extraHosts: query.all("extrahosts").flatMap((text) => text.split(",")),
      resources: resourcesOf(call),
      cacheImages: cacheImagesOf(call),
      keepsStepImages: true,
    },
    dockerfilePath: query.text("dockerfile") || "Dockerfile",
    remote: query.text("remote"),
    isQuiet: query.flag("q"),
    isRemoved: query.flag("rm", true),
    isForceRemoved: query.flag("forcerm"),
    isExplained: query.flag("explain"),
  };
};
