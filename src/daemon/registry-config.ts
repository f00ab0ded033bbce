/** What the daemon's options say about registries, as the image room wants it. */
import { type OptionValues, invalid } from "#daemon/option-values.ts";
import type { RegistryOptions } from "#image/dependencies.ts";
import type { ProxyConfig, RegistryRule } from "#remote/remote.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const CERTIFICATES = ["/etc/naru/certs.d", "/etc/docker/certs.d"];
const PROXY_KEYS = ["http-proxy", "https-proxy", "no-proxy"];

const checkMirror = (url: string): string => {
  const isUrl = URL.canParse(url) && /^https?:\/\/[^/]/.test(url);
  if (!isUrl) return invalid(`invalid mirror: "${url}" must be a URL such as https://mirror.local`);
  const { username, search, hash } = new URL(url);
  return username === "" && search === "" && hash === ""
    ? url
    : invalid(`invalid mirror: "${url}" may have a host and a path only`);
};

const checkHost =
  (what: string) =>
  (entry: string): string => {
    if (/^https?:\/\//.test(entry)) {
      return invalid(`${what} ${entry} should not contain '://'`);
    }
    return /^[^\s/]+(\/\d{1,3})?$/.test(entry)
      ? entry
      : invalid(`${what} "${entry}" is not valid: use host[:port] or a network`);
  };

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

const ruleOf = (prefix: string, value: unknown): RegistryRule => {
  const fail = (what: string): never => invalid(`"registries": "${prefix}": ${what}`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return fail("the rule must be an object");
  }
  const { location, mirrors, blocked, insecure, ...rest } = value as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) {
    return fail(`unknown key "${unknown}" (known: location, mirrors, blocked, insecure)`);
  }
  if (location !== undefined && !isText(location)) return fail('"location" must be a text');
  for (const [key, flag] of Object.entries({ blocked, insecure })) {
    if (flag !== undefined && typeof flag !== "boolean")
      return fail(`"${key}" must be true or false`);
  }
  if (mirrors !== undefined && !(Array.isArray(mirrors) && mirrors.every(isText))) {
    return fail('"mirrors" must be a list of hosts or URLs');
  }
  const hosts = (mirrors ?? []) as readonly string[];
  for (const mirror of hosts) checkMirror(mirror.includes("://") ? mirror : `https://${mirror}`);
  return {
    ...(location === undefined ? {} : { location }),
    ...(mirrors === undefined ? {} : { mirrors: hosts }),
    ...(blocked === true ? { blocked } : {}),
    ...(insecure === true ? { insecure } : {}),
  };
};

const proxyOf = (values: OptionValues, environment: Environment): ProxyConfig => {
  const inFile = (values.get("proxies") ?? {}) as Record<string, string>;
  const unknown = Object.keys(inFile).find((key) => !PROXY_KEYS.includes(key));
  if (unknown !== undefined) invalid(`"proxies": unknown key "${unknown}"`);
  const of = (key: string, variable: string): string =>
    (values.get(key) as string | undefined) ??
    inFile[key] ??
    environment[variable.toUpperCase()] ??
    environment[variable] ??
    "";
  return {
    http: of("http-proxy", "http_proxy"),
    https: of("https-proxy", "https_proxy"),
    none: of("no-proxy", "no_proxy"),
  };
};

/** Throws invalid_argument naming the option. */
export const registryOptionsOf = (
  values: OptionValues,
  environment: Environment,
): RegistryOptions => {
  const list = (key: string): string[] => (values.get(key) as string[] | undefined) ?? [];
  const count = (key: string, fallback: number): number => {
    const given = (values.get(key) as number | undefined) ?? fallback;
    return given > 0 ? given : invalid(`"${key}" must be 1 or more`);
  };
  const rules = (values.get("registries") ?? {}) as Record<string, unknown>;
  return {
    maxDownloads: count("max-concurrent-downloads", 3),
    maxUploads: count("max-concurrent-uploads", 5),
    remote: {
      mirrors: list("registry-mirrors").map(checkMirror),
      insecure: list("insecure-registries").map(checkHost("insecure registry")),
      nondistributable: list("allow-nondistributable-artifacts").map(
        checkHost("allow-nondistributable-artifacts: registry"),
      ),
      rules: Object.fromEntries(
        Object.entries(rules).map(([prefix, rule]) => [prefix, ruleOf(prefix, rule)]),
      ),
      certificateDirectories: CERTIFICATES,
      proxy: proxyOf(values, environment),
      maxAttempts: count("max-download-attempts", 5),
    },
  };
};
