/** Security options and capabilities of a service, as docker compose sends them. Pure. */
import type { Service } from "#spec/compose/compose.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";

const SYSTEM_PATHS = "systempaths=unconfined";

/** The file a security option names; undefined for all others. `seccomp:FILE` is the older form. */
export const profileOf = (option: string): string | undefined => {
  const value = /^seccomp[=:](.+)$/s.exec(option)?.[1];
  return value === undefined || value === "unconfined" || value === "builtin" ? undefined : value;
};

/** `profiles`: the text of each file that `profileOf` names. */
export const securityOf = (
  service: Service,
  profiles: ReadonlyMap<string, string>,
): Partial<HostConfig> => {
  const given = service.security_opt ?? [];
  const options = given
    .filter((option) => option !== SYSTEM_PATHS)
    .map((option) => {
      const profile = profiles.get(profileOf(option) ?? "");
      return profile === undefined ? option : `seccomp=${profile}`;
    });
  return {
    ...(options.length === 0 ? {} : { SecurityOpt: options }),
    ...(options.length === given.length ? {} : { MaskedPaths: [], ReadonlyPaths: [] }),
  };
};

const ALL = "ALL";

const named = (given: readonly string[]): Set<string> =>
  new Set(
    given.map((text) => {
      const name = text.trim().toUpperCase();
      return name === ALL || name.startsWith("CAP_") ? name : `CAP_${name}`;
    }),
  );

/** Full names, sorted, each once; what is added is not dropped too, and ALL swallows the others. */
export const capabilitiesOf = (
  service: Service,
): { readonly CapAdd: string[]; readonly CapDrop: string[] } => {
  const added = named(service.cap_add ?? []);
  const dropped = named(service.cap_drop ?? []);
  const add = added.has(ALL) ? [ALL] : [...added].toSorted();
  const drop = dropped.has(ALL)
    ? [ALL]
    : [...dropped].filter((name) => !added.has(name)).toSorted();
  return { CapAdd: add, CapDrop: drop };
};
