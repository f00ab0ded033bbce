/**
 * The configuration of `naru registry serve`: flags, and a JSON file whose every key is known or refused. A flag
 * wins over the file. registry.md in docs/ lists the keys for people.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { NaruError, hasCode, toNaruError } from "#lib/errors.ts";
import { DEFAULT_LIMITS, type RegistryLimits } from "#registry/limits.ts";
import type { RulesConfig } from "#registry/rules.ts";
import type { S3Config } from "#registry/storage/s3.ts";
import type { UpstreamConfig } from "#registry/upstream/pull-through.ts";
import { parseRepositoryName } from "#spec/distribution/name.ts";
import { parseReference } from "#spec/image/reference.ts";
import { DEFAULT_PATIENCE, type Patience } from "#api/distribution/patience.ts";
import {
  type AccessConfig,
  type ObserveConfig,
  accessConfigOf,
  observeConfigOf,
} from "#daemon/registry/access-config.ts";
import { wholeEnvironment } from "#daemon/config.ts";
import type { ScheduleConfig } from "#daemon/registry/schedule.ts";
import { Fields, asWrong } from "#daemon/registry/fields.ts";

export interface RegistryConfig {
  /** The file, where one was named. */
  readonly configPath: string | undefined;
  readonly addr: string;
  readonly dataRoot: string;
  readonly tls: { readonly certPath: string; readonly keyPath: string } | undefined;
  readonly htpasswdPath: string | undefined;
  readonly limits: RegistryLimits;
  readonly patience: Patience;
  readonly maxConnections: number;
  readonly rules: RulesConfig;
  readonly access: AccessConfig;
  readonly observe: ObserveConfig;
  readonly upkeep: ScheduleConfig;
  /** Where blobs are kept; undefined: under `dataRoot`. */
  readonly s3: S3Config | undefined;
  readonly upstreams: readonly UpstreamConfig[];
  /** Upstreams that may have any certificate or none. */
  readonly insecureUpstreams: readonly string[];
}

const DEFAULT_ADDR = "127.0.0.1:5000";
const DEFAULT_DATA_ROOT = "/var/lib/naru-registry";
const DEFAULT_MAX_CONNECTIONS = 4096;
const DEFAULT_TAG_TTL_SECONDS = 300;
const DEFAULT_GC_HOURS = 6;
const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
const DAY_SECONDS = 86_400;
/** 3.6 seconds: whatever comes to an end by itself must leave clients the time for a request. */
const LEAST_HOURS = 0.001;

const FLAGS = {
  addr: { type: "string" },
  "data-root": { type: "string" },
  htpasswd: { type: "string" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  "config-file": { type: "string" },
} as const;

const limitsOf = (fields: Fields): RegistryLimits => {
  const d = DEFAULT_LIMITS;
  const limits: RegistryLimits = {
    maxUploads: fields.count("max-uploads", { least: 1 }) ?? d.maxUploads,
    maxBlobBytes: fields.bytes("max-blob-size") ?? d.maxBlobBytes,
    maxManifestBytes: d.maxManifestBytes,
    uploadExpiryMs:
      (fields.number("upload-expiry-hours", { least: LEAST_HOURS }) ?? d.uploadExpiryMs / HOUR_MS) *
      HOUR_MS,
    maxPage: fields.count("max-page", { least: 1 }) ?? d.maxPage,
    cacheBytes: fields.bytes("manifest-cache-size") ?? d.cacheBytes,
    graceMs: (fields.number("gc-grace-seconds") ?? d.graceMs / SECOND_MS) * SECOND_MS,
  };
  return limits;
};

const patienceOf = (fields: Fields): Patience => ({
  idleMs:
    (fields.number("idle-timeout-seconds", { least: 1, most: DAY_SECONDS }) ??
      DEFAULT_PATIENCE.idleMs / SECOND_MS) * SECOND_MS,
  windowMs: DEFAULT_PATIENCE.windowMs,
  minBytesPerSecond: fields.count("min-bytes-per-second") ?? DEFAULT_PATIENCE.minBytesPerSecond,
});

/** Whole subtrees alone, so that what counts is told by a prefix. */
const quotaPattern = (fields: Fields): string => {
  const pattern = fields.need("repositories");
  if (pattern === "**" || pattern.endsWith("/**") || !/[*?]/.test(pattern)) return pattern;
  throw asWrong(
    fields.where,
    `"repositories" must be a name, "PREFIX/**" or "**", not "${pattern}"`,
  );
};

const rulesOf = (fields: Fields): RulesConfig => ({
  allowsSparse: fields.flag("allow-sparse-manifests") ?? false,
  immutable: fields.list("immutable-tags").map((rule) => ({
    repositories: rule.string("repositories") ?? "**",
    tags: rule.string("tags") ?? "*",
    ...rule.done(),
  })),
  quotas: fields.list("quotas").map((rule) => {
    const maxBytes = rule.bytes("max-size");
    if (maxBytes === undefined) throw asWrong(rule.where, '"max-size" is missing');
    return { repositories: quotaPattern(rule), maxBytes, ...rule.done() };
  }),
  retention: fields.list("retention").map((rule) => {
    const keepLast = rule.count("keep-last");
    const keepDays = rule.number("keep-days");
    const keepTags = rule.strings("keep-tags");
    if (keepLast === undefined && keepDays === undefined && keepTags === undefined) {
      throw asWrong(
        rule.where,
        'says nothing to keep: give "keep-last", "keep-days" or "keep-tags"',
      );
    }
    return {
      repositories: rule.string("repositories") ?? "**",
      tags: rule.string("tags") ?? "*",
      ...(keepLast === undefined ? {} : { keepLast }),
      ...(keepDays === undefined ? {} : { keepDays }),
      ...(keepTags === undefined ? {} : { keepTags }),
      ...rule.done(),
    };
  }),
});

const prefixOf = (fields: Fields): string => {
  const prefix = fields.string("prefix") ?? "";
  if (prefix === "") return prefix;
  try {
    return parseRepositoryName(prefix);
  } catch (error) {
    throw asWrong(fields.where, `"prefix": ${toNaruError(error).message}`);
  }
};

/** What image names would read as a host: "registry" alone would be a repository of Docker Hub. */
const upstreamHostOf = (fields: Fields): string => {
  const registry = fields.need("registry");
  try {
    const { domain } = parseReference(`${registry}/name`);
    if (domain === registry || registry === "index.docker.io") return domain;
  } catch (error) {
    if (!hasCode(error, "invalid_argument")) throw error;
  }
  throw asWrong(
    fields.where,
    `"registry" must be a host such as "docker.io" or "10.0.0.1:5000", without scheme and path, not "${registry}"`,
  );
};

const upstreamsOf = (fields: Fields): UpstreamConfig[] => {
  const upstreams = fields.list("upstreams").map(upstreamOf);
  const prefixes = upstreams.map(({ prefix }) => prefix);
  const twice = prefixes.find((prefix, index) => prefixes.indexOf(prefix) !== index);
  if (twice === undefined) return upstreams;
  throw asWrong(fields.where, `"upstreams": two have the prefix "${twice}": give each its own`);
};

const upstreamOf = (fields: Fields): UpstreamConfig => {
  const [username, password] = [fields.string("username"), fields.string("password")];
  if ((username === undefined) !== (password === undefined)) {
    throw asWrong(fields.where, '"username" and "password" belong together: give both or neither');
  }
  return {
    prefix: prefixOf(fields),
    registry: upstreamHostOf(fields),
    tagTtlMs: (fields.number("tag-ttl-seconds") ?? DEFAULT_TAG_TTL_SECONDS) * SECOND_MS,
    credentials: {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    },
    ...fields.done(),
  };
};

/** Keys that the file leaves out are those of the environment, under the names that all S3 clients know. */
const s3Of = (fields: Fields | undefined): S3Config | undefined => {
  if (fields === undefined) return undefined;
  const endpoint = fields.need("endpoint");
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw asWrong(fields.where, `"endpoint" must be a URL, not "${endpoint}"`);
  }
  const environment = wholeEnvironment();
  const secret = (key: string, variable: string): string => {
    const value = fields.string(key) ?? environment[variable];
    if (value !== undefined && value !== "") return value;
    throw asWrong(fields.where, `"${key}" is missing: name it there or in ${variable}`);
  };
  const prefix = fields.string("prefix") ?? "";
  return {
    endpoint,
    bucket: fields.need("bucket"),
    region: fields.string("region") ?? "us-east-1",
    prefix: prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`,
    accessKeyId: secret("access-key-id", "AWS_ACCESS_KEY_ID"),
    secretAccessKey: secret("secret-access-key", "AWS_SECRET_ACCESS_KEY"),
    redirects: fields.flag("redirect") ?? false,
    ...fields.done(),
  };
};

const readConfigFile = (path: string): Fields => {
  try {
    return new Fields(JSON.parse(readFileSync(path, "utf8")), `config file "${path}"`);
  } catch (cause) {
    if (cause instanceof NaruError) throw cause;
    throw new NaruError("invalid_argument", `cannot read config file "${path}": ${String(cause)}`, {
      cause,
    });
  }
};

/** "" would be the directory that the registry happens to be started in. */
const dataRootOf = (text: string | undefined): string => {
  if (text !== "") return text ?? DEFAULT_DATA_ROOT;
  throw new NaruError(
    "invalid_argument",
    '"data-root" is empty: name a directory, or leave it out',
  );
};

const tlsOf = (
  certPath: string | undefined,
  keyPath: string | undefined,
): RegistryConfig["tls"] => {
  if (certPath === undefined && keyPath === undefined) return undefined;
  if (certPath !== undefined && keyPath !== undefined) return { certPath, keyPath };
  throw new NaruError("invalid_argument", "--tls-cert and --tls-key belong together: give both");
};

/** Throws invalid_argument for flags and keys that are unknown or wrong. */
export const parseRegistryConfig = (argv: readonly string[]): RegistryConfig => {
  let flags;
  try {
    flags = parseArgs({
      args: [...argv],
      options: FLAGS,
      strict: true,
      allowPositionals: false,
    }).values;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NaruError(
      "invalid_argument",
      `${reason}\nRun 'naru registry serve --help' for the options`,
      {
        cause,
      },
    );
  }
  const path = flags["config-file"];
  const fields = path === undefined ? new Fields({}, "flags") : readConfigFile(path);
  /** The file's key is read in any case: it is known, also where the flag wins. */
  const text = (key: Exclude<keyof typeof FLAGS, "config-file">): string | undefined => {
    const inFile = fields.string(key);
    return flags[key] ?? inFile;
  };
  const config: RegistryConfig = {
    configPath: path,
    addr: text("addr") ?? DEFAULT_ADDR,
    dataRoot: dataRootOf(text("data-root")),
    tls: tlsOf(text("tls-cert"), text("tls-key")),
    htpasswdPath: text("htpasswd"),
    maxConnections: fields.count("max-connections", { least: 1 }) ?? DEFAULT_MAX_CONNECTIONS,
    limits: limitsOf(fields),
    patience: patienceOf(fields),
    rules: rulesOf(fields),
    access: accessConfigOf(fields),
    observe: observeConfigOf(fields),
    s3: s3Of(fields.object("s3")),
    upstreams: upstreamsOf(fields),
    insecureUpstreams: fields.strings("insecure-upstreams") ?? [],
    upkeep: {
      collectEveryMs: (fields.number("gc-interval-hours") ?? DEFAULT_GC_HOURS) * HOUR_MS,
      collectsUntagged: fields.flag("gc-untagged") ?? false,
    },
  };
  fields.done();
  return config;
};
