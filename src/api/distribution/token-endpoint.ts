/**
 * Gives out the registry's own tokens: GET with Basic credentials or none, and the OAuth2 form with a password, as
 * Docker's token authentication has them. Which of the scopes asked for are granted, the rules say.
 */
import { JSON_FIELDS } from "#api/distribution/call.ts";
import type { Exchange } from "#api/http/exchange.ts";
import { parseBasic } from "#registry/access/controlled.ts";
import type { Passwords } from "#registry/access/htpasswd.ts";
import { type AccessRules, grantOf, parseScope } from "#registry/access/rules.ts";
import type { TokenIssuer } from "#registry/access/tokens.ts";
import { hasCode } from "#lib/errors.ts";
import { distributionError } from "#spec/distribution/errors.ts";

const FORM_LIMITS = { limitBytes: 64 * 1024, timeoutMs: 30_000 };
const SCOPES_LIMIT = 100;

export interface TokenEndpointParts {
  readonly issuer: TokenIssuer;
  readonly rules: AccessRules;
  readonly passwords: Passwords;
}

interface Asked {
  readonly user: string;
  readonly password: string | undefined;
  readonly scopes: readonly string[];
  readonly service: string;
}

const ofQuery = (exchange: Exchange): Asked => {
  const query = new URLSearchParams(exchange.head.queryText);
  const authorization = exchange.head.fields.get("authorization");
  const basic = /^basic +(.*)$/i.exec(authorization ?? "")?.[1];
  const { user, password } =
    basic === undefined ? { user: "", password: undefined } : parseBasic(basic);
  const scopes = query.getAll("scope");
  return { user, password, scopes, service: query.get("service") ?? "" };
};

const ofForm = async (exchange: Exchange): Promise<Asked> => {
  const form = new URLSearchParams((await exchange.readBody(FORM_LIMITS)).toString("utf8"));
  if (form.get("grant_type") !== "password") {
    throw distributionError(
      "UNSUPPORTED",
      `grant_type must be "password": there are no refresh tokens`,
      {
        status: 400,
      },
    );
  }
  return {
    user: form.get("username") ?? "",
    password: form.get("password") ?? "",
    scopes: form.getAll("scope"),
    service: form.get("service") ?? "",
  };
};

const answer = async (
  { issuer, rules, passwords }: TokenEndpointParts,
  exchange: Exchange,
): Promise<void> => {
  const asked = exchange.head.method === "POST" ? await ofForm(exchange) : ofQuery(exchange);
  if (asked.service !== "" && asked.service !== issuer.service) {
    throw distributionError("DENIED", `tokens are given out for service "${issuer.service}" alone`);
  }
  if (asked.password !== undefined) await passwords.check(asked.user, asked.password);
  const scopes = asked.scopes.flatMap((text) => text.split(" ")).filter((text) => text !== "");
  if (scopes.length > SCOPES_LIMIT) {
    throw distributionError("DENIED", `at most ${SCOPES_LIMIT} scopes a token`, { status: 400 });
  }
  const access = scopes
    .map(parseScope)
    .flatMap((scope) => (scope === undefined ? [] : [grantOf(rules, asked.user, scope)]))
    .filter((grant) => grant.actions.length > 0);
  const { token, expiresInSeconds, issuedAt } = await issuer.issue(asked.user, access);
  exchange.answer(
    200,
    `${JSON_FIELDS}Cache-Control: no-store\r\n`,
    JSON.stringify({
      token,
      access_token: token,
      expires_in: expiresInSeconds,
      issued_at: issuedAt,
    }),
  );
};

/** The handler of /token. */
export const createTokenEndpoint =
  (parts: TokenEndpointParts) =>
  async (exchange: Exchange): Promise<void> => {
    const { method } = exchange.head;
    if (method !== "GET" && method !== "POST") {
      throw distributionError("UNSUPPORTED", "tokens are asked for with GET or POST", {
        details: { fields: "Allow: GET, POST\r\n" },
      });
    }
    try {
      await answer(parts, exchange);
    } catch (error) {
      if (!hasCode(error, "unauthenticated")) throw error;
      throw distributionError("UNAUTHORIZED", "user name or password is wrong", {
        cause: error,
        details: { challenge: 'Basic realm="naru registry"' },
      });
    }
  };
