/** Where the content of a name may be had: the rules of the configuration applied. Pure. */
import { NaruError } from "#lib/errors.ts";
import { isInsecureHost } from "#remote/hosts.ts";
import type { RemoteConfig } from "#remote/remote.ts";
import { longestPrefix } from "#spec/image/prefix.ts";
import { type Reference, familiarString } from "#spec/image/reference.ts";

export interface Endpoint {
  /** "localhost:5000", "registry-1.docker.io". */
  readonly host: string;
  /** Fixed by a mirror's URL; undefined: TLS first, and plain if insecure. */
  readonly scheme: "http" | "https" | undefined;
  /** "" or "/path" of a mirror, before "/v2/". */
  readonly base: string;
  /** "library/alpine". */
  readonly repository: string;
  readonly isInsecure: boolean;
  readonly isMirror: boolean;
  /** The registry that a mirror is asked to stand for (distribution-spec, "ns" parameter). */
  readonly namespace: string | undefined;
}

const HUB = "docker.io";
const HUB_HOST = "registry-1.docker.io";

const registryHost = (domain: string): string => (domain === HUB ? HUB_HOST : domain);

const mirrorEndpoint = (
  config: RemoteConfig,
  mirror: string,
  repository: string,
  namespace: string | undefined,
): Endpoint => {
  const hasScheme = mirror.includes("://");
  const url = new URL(hasScheme ? mirror : `https://${mirror}`);
  return {
    host: url.host,
    scheme: hasScheme ? (url.protocol === "http:" ? "http" : "https") : undefined,
    base: url.pathname.replace(/\/+$/, ""),
    repository,
    isInsecure: isInsecureHost(url.host, config.insecure),
    isMirror: true,
    namespace,
  };
};

/** Mirrors first, the registry last. Throws permission_denied for a blocked prefix. */
export const endpointsOf = (config: RemoteConfig, reference: Reference): readonly Endpoint[] => {
  const name = `${reference.domain}/${reference.path}`;
  const found = longestPrefix(config.rules, name);
  if (found?.rule.blocked === true) {
    throw new NaruError(
      "permission_denied",
      `"${familiarString(reference)}" is blocked: the rule for "${found.prefix}" in the daemon's "registries" forbids it`,
    );
  }
  const location = found?.rule.location;
  const moved = location === undefined ? name : location + name.slice(found?.prefix.length ?? 0);
  const [domain = "", ...rest] = moved.split("/");
  const repository = rest.join("/");
  const host = registryHost(domain);
  const isInsecure = found?.rule.insecure === true || isInsecureHost(host, config.insecure);
  const mirrors = [
    ...(found?.rule.mirrors ?? []).map((mirror) =>
      mirrorEndpoint(config, mirror, repository, domain),
    ),
    ...(domain === HUB ? config.mirrors : []).map((mirror) =>
      mirrorEndpoint(config, mirror, repository, undefined),
    ),
  ];
  return [
    ...mirrors,
    {
      host,
      scheme: undefined,
      base: "",
      repository,
      isInsecure,
      isMirror: false,
      namespace: undefined,
    },
  ];
};
