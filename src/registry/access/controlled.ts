/** Access by passwords and tokens under rules. See access.ts. */
import { type Access, ANONYMOUS, type Identity, type Wanted } from "#registry/access/access.ts";
import type { Passwords } from "#registry/access/htpasswd.ts";
import { type AccessRules, isGranted, scopesOf } from "#registry/access/rules.ts";
import type { TokenVerifier } from "#registry/access/tokens.ts";
import { distributionError } from "#spec/distribution/errors.ts";

export interface TokenScheme {
  readonly verifier: TokenVerifier;
  readonly service: string;
  /** Where tokens are given out; `host` is the request's own. */
  readonly realmOf: (host: string) => string;
}

export interface AccessParts {
  readonly rules: AccessRules;
  readonly passwords: Passwords | undefined;
  readonly tokens: TokenScheme | undefined;
}

const REALM = "naru registry";

/** Name and password of a Basic value; a user name has no colon. */
export const parseBasic = (value: string): { user: string; password: string } => {
  const text = Buffer.from(value, "base64").toString("utf8");
  const at = text.indexOf(":");
  if (at < 0) throw distributionError("UNAUTHORIZED", "malformed Basic credentials");
  return { user: text.slice(0, at), password: text.slice(at + 1) };
};

const identifyBasic = (passwords: Passwords, value: string): Identity | Promise<Identity> => {
  const { user, password } = parseBasic(value);
  const checking = passwords.check(user, password);
  return checking === undefined ? { name: user } : checking.then(() => ({ name: user }));
};

const quoted = (text: string): string => `"${text.replaceAll(/["\\\r\n]/g, "")}"`;

export const createAccess = ({ rules, passwords, tokens }: AccessParts): Access => ({
  identify: (authorization) => {
    if (authorization === undefined) return ANONYMOUS;
    const [, scheme = "", value = ""] = /^(\S+) +(.*)$/.exec(authorization) ?? [];
    const kind = scheme.toLowerCase();
    if (kind === "basic" && passwords !== undefined) return identifyBasic(passwords, value);
    if (kind === "bearer" && tokens !== undefined) return tokens.verifier.verify(value.trim());
    throw distributionError(
      "UNAUTHORIZED",
      `credentials of kind "${scheme.slice(0, 20)}" are not taken here`,
    );
  },
  mayDo: (identity, wanted) =>
    identity.granted === undefined
      ? rules.allows(identity.name, wanted)
      : isGranted(identity, wanted) || rules.allows("", wanted),
  mustIdentify: tokens !== undefined,
  challenge:
    passwords === undefined && tokens === undefined
      ? undefined
      : (wanted: readonly Wanted[], host: string) => {
          if (tokens === undefined) return `Basic realm=${quoted(REALM)}`;
          const scope = scopesOf(
            wanted.filter(({ repository, action }) => repository !== "" || action !== "pull"),
          );
          const realm = `Bearer realm=${quoted(tokens.realmOf(host))},service=${quoted(tokens.service)}`;
          return scope === "" ? realm : `${realm},scope=${quoted(scope)}`;
        },
});
