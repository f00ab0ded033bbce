/** Puts together who may do what: passwords, tokens, rules. */
import { type Access, OPEN_ACCESS } from "#registry/access/access.ts";
import type { Passwords } from "#registry/access/htpasswd.ts";
import { type AccessRules, createAccessRules } from "#registry/access/rules.ts";
import type { TokenScheme } from "#registry/access/controlled.ts";
import type { ExtraHandler } from "#api/distribution/backend.ts";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { TokenConfig } from "#daemon/registry/access-config.ts";
import type { RegistryConfig } from "#daemon/registry/config.ts";

export interface BuiltAccess {
  readonly access: Access;
  /** Gives tokens out, where this registry does. */
  readonly tokenEndpoint: ExtraHandler | undefined;
}

interface Parts {
  readonly root: string;
  readonly isTls: boolean;
  readonly rules: AccessRules;
  readonly passwords: Passwords | undefined;
}

const buildTokens = async (
  token: TokenConfig,
  { root, isTls, rules, passwords }: Parts,
): Promise<{ scheme: TokenScheme; endpoint: ExtraHandler | undefined }> => {
  const tokens = await import("#registry/access/tokens.ts");
  const { service } = token;
  if (token.kind === "external") {
    const verifier = await tokens.openTokenVerifier(token.keysPath, token);
    return { scheme: { verifier, service, realmOf: () => token.realm }, endpoint: undefined };
  }
  if (passwords === undefined) {
    throw new NaruError(
      "invalid_argument",
      '"token": own tokens need users: give --htpasswd as well',
    );
  }
  const issuer = await tokens.openTokenIssuer(
    `${root}/token-key.json`,
    service,
    token.expirySeconds,
  );
  const { createTokenEndpoint } = await import("#api/distribution/token-endpoint.ts");
  const scheme = isTls ? "https" : "http";
  return {
    scheme: {
      verifier: issuer,
      service,
      realmOf: (host) => `${token.publicUrl ?? `${scheme}://${host}`}/token`,
    },
    endpoint: createTokenEndpoint({ issuer, rules, passwords }),
  };
};

const OWN: TokenConfig = {
  kind: "own",
  service: "naru-registry",
  expirySeconds: 300,
  publicUrl: undefined,
};

/** Throws invalid_argument for what does not fit together. */
export const buildAccess = async (
  config: RegistryConfig,
  root: string,
  log: Logger,
): Promise<BuiltAccess> => {
  const { htpasswdPath, access } = config;
  if (htpasswdPath === undefined && access.token === undefined) {
    if (access.rules.length === 0) return { access: OPEN_ACCESS, tokenEndpoint: undefined };
    const named = access.rules.flatMap(({ users }) => users).find((user) => user !== "anonymous");
    if (named !== undefined) {
      throw new NaruError(
        "invalid_argument",
        `"access" names "${named}", but nobody can log in: give --htpasswd or "token" as well`,
      );
    }
  }
  const rules = createAccessRules(access.rules, access.groups);
  const { createAccess } = await import("#registry/access/controlled.ts");
  const passwords =
    htpasswdPath === undefined
      ? undefined
      : (await import("#registry/access/htpasswd.ts")).openHtpasswd(htpasswdPath, log);
  // Docker logs in by the challenge of /v2/: with Basic alone it could not also pull without logging in.
  const needsTokens = passwords !== undefined && rules.allowsAnonymous;
  const token = access.token ?? (needsTokens ? OWN : undefined);
  const isTls = config.tls !== undefined;
  const built =
    token === undefined ? undefined : await buildTokens(token, { root, isTls, rules, passwords });
  return {
    access: createAccess({ rules, passwords, tokens: built?.scheme }),
    tokenEndpoint: built?.endpoint,
  };
};
