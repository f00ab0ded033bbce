/**
 * Bearer tokens (the token authentication of Docker registries): JSON Web Tokens that say what they are good for.
 * Signed by a server elsewhere, whose public keys are given, or by this registry itself.
 */
import { readFileSync } from "node:fs";
import * as jose from "jose";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { monotonicMs, nowNs, randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { Grant, Identity } from "#registry/access/access.ts";
import { distributionError } from "#spec/distribution/errors.ts";

const OWN_ALGORITHM = "ES256";
const ALGORITHMS = ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "EdDSA"];
const REMEMBER_LIMIT = 1000;
/** Clocks differ. */
const TOLERANCE_SECONDS = 10;
const TOKEN_LIMIT = 32 * 1024;

type Key = Parameters<typeof jose.jwtVerify>[1];

export interface TokenVerifier {
  /** Throws UNAUTHORIZED for a token that is wrong, expired or not for this registry. */
  verify(token: string): Identity | Promise<Identity>;
}

const isGrant = (value: unknown): value is Grant => {
  const { type, name, actions } = (value ?? {}) as Record<string, unknown>;
  return typeof type === "string" && typeof name === "string" && Array.isArray(actions);
};

const wrong = (cause: unknown) =>
  distributionError(
    "UNAUTHORIZED",
    `the token is not accepted: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );

interface Expected {
  readonly issuer: string;
  readonly service: string;
}

class Verifier implements TokenVerifier {
  readonly #keys: readonly (Key | jose.JWTVerifyGetKey)[];
  readonly #expected: Expected;
  /** Verified tokens, until they expire. */
  readonly #known = new Map<string, { readonly identity: Identity; readonly endsAtMs: number }>();

  constructor(keys: readonly (Key | jose.JWTVerifyGetKey)[], expected: Expected) {
    this.#keys = keys;
    this.#expected = expected;
  }

  verify(token: string): Identity | Promise<Identity> {
    const known = this.#known.get(token);
    return known !== undefined && known.endsAtMs > monotonicMs()
      ? known.identity
      : this.#verify(token);
  }

  async #payload(token: string): Promise<jose.JWTPayload> {
    if (token.length > TOKEN_LIMIT) throw wrong("it is too long");
    const { issuer, service } = this.#expected;
    const options = {
      issuer,
      audience: service,
      algorithms: ALGORITHMS,
      clockTolerance: TOLERANCE_SECONDS,
      requiredClaims: ["exp"],
    };
    let failure: unknown;
    for (const key of this.#keys) {
      try {
        const verified =
          typeof key === "function"
            ? await jose.jwtVerify(token, key, options)
            : await jose.jwtVerify(token, key, options);
        return verified.payload;
      } catch (error) {
        failure = error;
      }
    }
    throw wrong(failure);
  }

  async #verify(token: string): Promise<Identity> {
    const payload = await this.#payload(token);
    const access: unknown = payload["access"];
    const identity: Identity = {
      name: payload.sub ?? "",
      granted: Array.isArray(access) ? access.filter(isGrant) : [],
    };
    const leftMs = (payload.exp ?? 0) * 1000 - Number(nowNs() / 1_000_000n);
    if (this.#known.size >= REMEMBER_LIMIT) this.#known.clear();
    this.#known.set(token, { identity, endsAtMs: monotonicMs() + leftMs });
    return identity;
  }
}

const pemBlocks = (text: string): string[] =>
  text.match(/-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----/g) ?? [];

/** A JSON Web Key Set, or PEM certificates and public keys. Throws invalid_argument. */
export const openTokenVerifier = async (
  keysPath: string,
  expected: Expected,
): Promise<TokenVerifier> => {
  try {
    const text = readFileSync(keysPath, "utf8");
    if (text.trimStart().startsWith("{")) {
      return new Verifier(
        [jose.createLocalJWKSet(JSON.parse(text) as jose.JSONWebKeySet)],
        expected,
      );
    }
    const { createPublicKey } = await import("node:crypto");
    const keys = pemBlocks(text).map((pem) => createPublicKey(pem));
    if (keys.length === 0) throw new Error("neither a JSON Web Key Set nor PEM");
    return new Verifier(keys, expected);
  } catch (cause) {
    throw new NaruError(
      "invalid_argument",
      `cannot read token keys "${keysPath}": ${String(cause)}`,
      {
        cause,
      },
    );
  }
};

export interface IssuedToken {
  readonly token: string;
  readonly expiresInSeconds: number;
  readonly issuedAt: string;
}

export interface TokenIssuer extends TokenVerifier {
  readonly service: string;
  issue(name: string, access: readonly Grant[]): Promise<IssuedToken>;
}

const readOwnKey = async (path: string): Promise<jose.JWK> => {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as jose.JWK;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const { privateKey } = await jose.generateKeyPair(OWN_ALGORITHM, { extractable: true });
  const jwk = { ...(await jose.exportJWK(privateKey)), kid: randomHex(8), alg: OWN_ALGORITHM };
  writeFileAtomic(path, `${JSON.stringify(jwk)}\n`, { mode: 0o600 });
  return jwk;
};

/** The registry's own issuer. Its key is made when there is none, and kept at `keyPath`, mode 0600. */
export const openTokenIssuer = async (
  keyPath: string,
  service: string,
  expirySeconds: number,
): Promise<TokenIssuer> => {
  const jwk = await readOwnKey(keyPath);
  const { d: _private, ...open } = jwk as jose.JWK & { d?: string };
  const signKey = await jose.importJWK(jwk, OWN_ALGORITHM);
  const verifier = new Verifier([await jose.importJWK(open, OWN_ALGORITHM)], {
    issuer: service,
    service,
  });
  return {
    service,
    verify: (token) => verifier.verify(token),
    issue: async (name, access) => {
      const issuedAt = Number(nowNs() / 1_000_000_000n);
      const token = await new jose.SignJWT({ access })
        .setProtectedHeader({ alg: OWN_ALGORITHM, typ: "JWT", kid: jwk.kid ?? "" })
        .setIssuer(service)
        .setSubject(name)
        .setAudience(service)
        .setIssuedAt(issuedAt)
        .setNotBefore(issuedAt)
        .setExpirationTime(issuedAt + expirySeconds)
        .setJti(randomHex(16))
        .sign(signKey);
      return {
        token,
        expiresInSeconds: expirySeconds,
        issuedAt: new Date(issuedAt * 1000).toISOString(),
      };
    },
  };
};
