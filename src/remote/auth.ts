/**
 * Answers to a registry's challenge: Basic, or a token from the server that a Bearer challenge names
 * (the registries' token and OAuth2 specifications).
 *
 * Where name and password (or an identity token) go:
 * - Basic: to the registry that asked.
 * - Bearer: to the realm. It must be https, or http where the registry itself was reached without a verified
 *   certificate and the realm is insecure too. A registry that was reached without one could be anybody: it
 *   gets them sent to its own host name only, unless that is loopback.
 * - The token server's redirects are not followed.
 */
import { nowNs } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { HttpRequest, Network } from "#remote/network.ts";
import { isInsecureHost, isLoopback, withoutPort } from "#remote/hosts.ts";
import type { RemoteConfig, RemoteState } from "#remote/remote.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { type TokenAnswer, parseFault, parseTokenAnswer } from "#spec/distribution/answers.ts";
import type { Challenge } from "#spec/distribution/challenge.ts";

/** Who asks: the registry as it was reached. */
export interface Challenger {
  readonly host: string;
  /** Reached over TLS with a certificate that was verified. */
  readonly isVerified: boolean;
}

export interface AuthRequest {
  readonly challenger: Challenger;
  readonly challenge: Challenge;
  readonly scopes: readonly string[];
  readonly credentials: AuthConfig;
  readonly signal: AbortSignal;
}

const CLIENT_ID = "naru";
const TOKENS_MAX = 1000;
/** A token that is about to end is not worth sending. */
const MARGIN_MS = 5000;
const ANSWER_MAX_BYTES = 1024 * 1024;

const nowMs = (): number => Number(nowNs() / 1_000_000n);

const hasLogin = ({ username, identitytoken }: AuthConfig): boolean =>
  (username ?? "") !== "" || (identitytoken ?? "") !== "";

const basic = ({ username = "", password = "" }: AuthConfig): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;

export const scopeOf = (repository: string, ...actions: readonly string[]): string =>
  `repository:${repository}:${actions.join(",")}`;

export class Authorizer {
  readonly #network: Network;
  readonly #config: RemoteConfig;
  readonly #tokens = new Map<string, { token: string; expiresAtMs: number }>();

  constructor(network: Network, config: RemoteConfig, tokens: RemoteState["tokens"]) {
    this.#network = network;
    this.#config = config;
    for (const [key, token, expiresAtMs] of tokens) this.#tokens.set(key, { token, expiresAtMs });
  }

  tokens(): RemoteState["tokens"] {
    return [...this.#tokens].map(([key, { token, expiresAtMs }]) => [key, token, expiresAtMs]);
  }

  /** The Authorization header; undefined when there is nothing to say. Throws unauthenticated. */
  async header(request: AuthRequest): Promise<string | undefined> {
    const { challenge, credentials } = request;
    if (challenge.scheme === "basic") {
      return (credentials.username ?? "") === "" ? undefined : basic(credentials);
    }
    if (challenge.scheme !== "bearer") return undefined;
    if (credentials.registrytoken !== undefined) return `Bearer ${credentials.registrytoken}`;
    const key = this.#key(request);
    const known = this.#tokens.get(key);
    if (known !== undefined && known.expiresAtMs - MARGIN_MS > nowMs()) {
      return `Bearer ${known.token}`;
    }
    const answer = await this.token(request);
    if (this.#tokens.size >= TOKENS_MAX) this.#tokens.clear();
    this.#tokens.set(key, {
      token: answer.token,
      expiresAtMs: nowMs() + answer.expiresInSeconds * 1000,
    });
    return `Bearer ${answer.token}`;
  }

  /** The registry did not take the token. */
  forget(request: AuthRequest): void {
    this.#tokens.delete(this.#key(request));
  }

  /** Asks the token server, past the cache. */
  async token(request: AuthRequest, isOffline = false): Promise<TokenAnswer> {
    const { challenge, credentials, signal } = request;
    const realm = this.#realm(request);
    const isInsecure = isInsecureHost(realm.host, this.#config.insecure);
    const common = { url: realm, isInsecure, signal };
    const identity = credentials.identitytoken ?? "";
    if (identity !== "") {
      const form = new URLSearchParams({
        grant_type: "refresh_token",
        service: challenge.parameters["service"] ?? "",
        client_id: CLIENT_ID,
        scope: request.scopes.join(" "),
        refresh_token: identity,
      });
      return await this.#ask({
        ...common,
        method: "POST",
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        body: form.toString(),
      });
    }
    const url = new URL(realm);
    const { service = "" } = challenge.parameters;
    if (service !== "") url.searchParams.set("service", service);
    for (const scope of request.scopes) url.searchParams.append("scope", scope);
    if (isOffline) {
      url.searchParams.set("offline_token", "true");
      url.searchParams.set("client_id", CLIENT_ID);
    }
    if (!hasLogin(credentials)) return await this.#ask({ ...common, url, method: "GET" });
    url.searchParams.set("account", credentials.username ?? "");
    const headers = { Authorization: basic(credentials) };
    return await this.#ask({ ...common, url, method: "GET", headers });
  }

  #key({ challenger, challenge, scopes, credentials }: AuthRequest): string {
    const { realm = "", service = "" } = challenge.parameters;
    const who = new Bun.CryptoHasher("sha256").update(JSON.stringify(credentials)).digest("hex");
    return JSON.stringify([challenger.host, realm, service, scopes.toSorted(), who]);
  }

  #realm({ challenger, challenge, credentials }: AuthRequest): URL {
    const text = challenge.parameters["realm"] ?? "";
    const refuse = (why: string): never => {
      throw new NaruError(
        "unauthenticated",
        `registry "${challenger.host}" names "${text}" as its token server, ${why}`,
      );
    };
    const url = URL.canParse(text) ? new URL(text) : refuse("which is no URL");
    if (!["http:", "https:"].includes(url.protocol))
      return refuse("which is neither http nor https");
    if (url.username !== "" || url.password !== "") return refuse("which carries a password");
    if (url.protocol === "http:") {
      if (challenger.isVerified) return refuse("which has no TLS while the registry has");
      if (!isInsecureHost(url.host, this.#config.insecure)) {
        return refuse("which has no TLS: name it among the insecure registries to allow that");
      }
    }
    const isOwnHost = withoutPort(url.host) === withoutPort(challenger.host);
    const isTrusted = challenger.isVerified || isOwnHost || isLoopback(challenger.host);
    if (hasLogin(credentials) && !isTrusted) {
      return refuse(
        "another host: credentials are not sent there on the word of an insecure registry",
      );
    }
    return url;
  }

  async #ask(request: HttpRequest): Promise<TokenAnswer> {
    const response = await this.#network.send(request);
    const { origin, pathname } = request.url;
    const realm = `${origin}${pathname}`;
    const length = Number(response.headers.get("content-length") ?? 0);
    if (length > ANSWER_MAX_BYTES) {
      await response.body?.cancel();
      throw new NaruError("resource_exhausted", `"${realm}" sent a token of ${length} bytes`);
    }
    const text = await response.text();
    if (response.ok) return parseTokenAnswer(text, realm);
    const fault = parseFault(text);
    const reason = fault?.message || `status ${response.status}`;
    if (response.status === 429 || response.status >= 500) {
      throw new NaruError("unavailable", `token server "${realm}" failed: ${reason}`, {
        details: { status: response.status },
      });
    }
    throw new NaruError(
      "unauthenticated",
      `unauthorized: ${reason} (asked "${realm}" for a token)`,
      {
        details: { registryCode: "UNAUTHORIZED" },
      },
    );
  }
}
