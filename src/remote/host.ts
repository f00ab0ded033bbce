/** Requests to one registry: which scheme it speaks, its challenge, redirects, and patience. */
import { nowNs, sleep } from "#lib/clock.ts";
import { backoffMs } from "#lib/backoff.ts";
import { NaruError } from "#lib/errors.ts";
import type { Authorizer } from "#remote/auth.ts";
import type { Endpoint } from "#remote/endpoints.ts";
import { faultOf } from "#remote/fault.ts";
import { type HttpRequest, type Network, networkCode } from "#remote/network.ts";
import type { RemoteConfig } from "#remote/remote.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { parseRetryAfter } from "#spec/distribution/answers.ts";
import { type Challenge, parseChallenges } from "#spec/distribution/challenge.ts";

export interface RegistryRequest {
  readonly method: HttpRequest["method"];
  /** From "/v2/" on with its query, or a URL that the registry named (uploads, pages). */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Asked for anew at each try. */
  readonly body?: () => NonNullable<HttpRequest["body"]>;
  readonly scopes: readonly string[];
  readonly credentials: AuthConfig;
  /** Statuses that are answers, not failures. */
  readonly accepts: readonly number[];
  /** What failed, for errors: 'manifest "x"'. */
  readonly what: string;
  /** 1: an answer or a failure at once. */
  readonly attempts: number;
  readonly signal: AbortSignal;
}

export interface HostFacts {
  scheme: "http" | "https" | undefined;
  /** The header as it came. */
  challenge: string;
  settling?: Promise<void>;
}

const REDIRECTS_MAX = 5;
const REDIRECT = [301, 302, 303, 307, 308];
const BUSY = [408, 425, 429, 500, 502, 503, 504];
const PAUSE = { firstMs: 500, mostMs: 15_000 };
/** A registry that wants to be left alone for longer is not waited for. */
const RETRY_AFTER_MAX_MS = 120_000;
const NOT_TLS = ["EPROTO", "ECONNREFUSED", "ConnectionRefused", "ECONNRESET", "ConnectionClosed"];
/** Nobody is there: trying again at once changes nothing. */
const ABSENT = ["ECONNREFUSED", "ConnectionRefused", "ENOTFOUND", "EPROTO", "CERTIFICATE"];

const pickChallenge = (header: string): Challenge | undefined => {
  const challenges = parseChallenges(header);
  return (
    challenges.find(({ scheme }) => scheme === "bearer") ??
    challenges.find(({ scheme }) => scheme === "basic")
  );
};

const isRead = (method: string): boolean => method === "GET" || method === "HEAD";

export class HostClient {
  readonly #network: Network;
  readonly #authorizer: Authorizer;
  readonly #endpoint: Endpoint;
  readonly #facts: HostFacts;

  constructor(
    parts: {
      readonly network: Network;
      readonly authorizer: Authorizer;
      readonly config: RemoteConfig;
    },
    endpoint: Endpoint,
    facts: HostFacts,
  ) {
    this.#network = parts.network;
    this.#authorizer = parts.authorizer;
    this.#endpoint = endpoint;
    this.#facts = facts;
  }

  /** The answer is one of `accepts`; its body is the caller's to read or cancel. */
  async request(request: RegistryRequest): Promise<Response> {
    for (let attempt = 0; ; attempt += 1) {
      const isLast = attempt + 1 >= request.attempts;
      let pauseMs = backoffMs(attempt, PAUSE);
      try {
        const response = await this.#authorized(request);
        if (request.accepts.includes(response.status)) return response;
        const wishMs = parseRetryAfter(
          response.headers.get("retry-after"),
          Number(nowNs() / 1_000_000n),
        );
        const isHopeless = !BUSY.includes(response.status) || (wishMs ?? 0) > RETRY_AFTER_MAX_MS;
        if (isLast || isHopeless) throw await faultOf(response, request.what);
        await response.body?.cancel();
        pauseMs = Math.max(wishMs ?? 0, Math.min(pauseMs, wishMs ?? pauseMs));
      } catch (error) {
        request.signal.throwIfAborted();
        const code = networkCode(error);
        if (code === undefined || isLast || ABSENT.includes(code)) throw error;
      }
      await sleep(pauseMs, request.signal);
    }
  }

  /** Asks "/v2/" so that scheme and challenge are known. The challenge, undefined when open to all. */
  async probe(credentials: AuthConfig, signal: AbortSignal): Promise<Challenge | undefined> {
    await this.#settleScheme(signal);
    const response = await this.#hop(
      {
        method: "GET",
        path: "/v2/",
        scopes: [],
        credentials,
        accepts: [],
        what: "",
        attempts: 1,
        signal,
      },
      undefined,
    );
    await response.body?.cancel();
    if (response.status === 401) {
      this.#facts.challenge = response.headers.get("www-authenticate") ?? "";
      return pickChallenge(this.#facts.challenge);
    }
    if (response.ok || response.status === 404) return undefined;
    throw await faultOf(response, `registry "${this.#endpoint.host}"`);
  }

  get challenger(): { readonly host: string; readonly isVerified: boolean } {
    const { host, isInsecure } = this.#endpoint;
    return { host, isVerified: this.#facts.scheme === "https" && !isInsecure };
  }

  async #authorized(request: RegistryRequest): Promise<Response> {
    const first = await this.#send(request);
    if (first.status !== 401) return first;
    const header = first.headers.get("www-authenticate") ?? "";
    const challenge = pickChallenge(header);
    if (challenge === undefined) return first;
    if (challenge.scheme === "basic" && (request.credentials.username ?? "") === "") {
      await first.body?.cancel();
      const { method } = request;
      throw new NaruError(
        "unauthenticated",
        `${method.charAt(0)}${method.slice(1).toLowerCase()} "${this.#url(request).href}": no basic auth credentials`,
        { details: { registryCode: "NO_CREDENTIALS" } },
      );
    }
    const auth = { ...this.#authOf(request, challenge), signal: request.signal };
    const wasKnown = this.#facts.challenge === header;
    this.#facts.challenge = header;
    if (wasKnown) this.#authorizer.forget(auth);
    const isSecondTry = challenge.scheme === "basic" && wasKnown;
    if (isSecondTry) return first;
    await first.body?.cancel();
    return await this.#send(request);
  }

  #authOf(
    request: RegistryRequest,
    challenge: Challenge,
  ): Omit<Parameters<Authorizer["header"]>[0], "signal"> {
    const asked = challenge.parameters["scope"] ?? "";
    const scopes = request.scopes.length > 0 || asked === "" ? request.scopes : asked.split(" ");
    const { credentials } = request;
    return { challenger: this.challenger, challenge, scopes, credentials };
  }

  async #send(request: RegistryRequest): Promise<Response> {
    // A challenge over TLS means something else than one without: first see which it is.
    await this.#settleScheme(request.signal);
    const challenge = pickChallenge(this.#facts.challenge);
    const { signal } = request;
    const authorization =
      challenge === undefined
        ? undefined
        : await this.#authorizer.header({ ...this.#authOf(request, challenge), signal });
    return await this.#hop(request, authorization);
  }

  /** With redirects; those to elsewhere carry no credentials. */
  async #hop(request: RegistryRequest, authorization: string | undefined): Promise<Response> {
    let url = this.#url(request);
    for (let hop = 0; ; hop += 1) {
      const isHome = url.origin === this.#url(request).origin;
      const response = await this.#network.send(this.#message(request, url, isHome, authorization));
      if (!REDIRECT.includes(response.status)) return response;
      const location = response.headers.get("location");
      await response.body?.cancel();
      if (location === null || !URL.canParse(location, url.href) || hop >= REDIRECTS_MAX) {
        throw new NaruError(
          "unavailable",
          `"${url.origin}" redirects ${hop >= REDIRECTS_MAX ? "without an end" : "to nowhere"}`,
        );
      }
      if (!isRead(request.method) && response.status < 307) {
        throw new NaruError(
          "unavailable",
          `"${url.origin}" redirects a ${request.method}, which cannot be followed`,
        );
      }
      url = this.#redirected(url, new URL(location, url));
    }
  }

  #redirected(from: URL, to: URL): URL {
    if (!["http:", "https:"].includes(to.protocol)) {
      throw new NaruError(
        "unavailable",
        `"${from.origin}" redirects to "${to.protocol}", which is not followed`,
      );
    }
    if (from.protocol === "https:" && to.protocol === "http:" && !this.#endpoint.isInsecure) {
      throw new NaruError(
        "unavailable",
        `"${from.origin}" redirects to "${to.origin}", which has no TLS: that is followed for insecure registries only`,
      );
    }
    return to;
  }

  #message(
    request: RegistryRequest,
    url: URL,
    isHome: boolean,
    authorization: string | undefined,
  ): HttpRequest {
    return {
      method: request.method,
      url,
      isInsecure: this.#endpoint.isInsecure,
      signal: request.signal,
      headers: {
        ...request.headers,
        ...(isHome && authorization !== undefined ? { Authorization: authorization } : {}),
      },
      ...(request.body === undefined ? {} : { body: request.body() }),
    };
  }

  /** Once for all who ask meanwhile. An insecure registry is tried: TLS first, as dockerd does. */
  async #settleScheme(signal: AbortSignal): Promise<void> {
    const facts = this.#facts;
    const { isInsecure, scheme } = this.#endpoint;
    if (facts.scheme !== undefined) return;
    if (scheme !== undefined || !isInsecure) {
      facts.scheme = scheme ?? "https";
      return;
    }
    facts.settling ??= this.#tryScheme("https", signal)
      .catch((error: unknown) => {
        if (!NOT_TLS.includes(networkCode(error) ?? "")) throw error;
        // To whom TLS means a client's certificate, plain HTTP is no way in: the first reason is the one that helps.
        return this.#tryScheme("http", signal, error);
      })
      .finally(() => delete facts.settling);
    try {
      await facts.settling;
    } catch (error) {
      // Who began it gave up; this one has not.
      signal.throwIfAborted();
      if (error instanceof NaruError) throw error;
      await this.#settleScheme(signal);
    }
  }

  /** `refused`: why TLS did not do, thrown if the other side speaks nothing else (servers say 400 then). */
  async #tryScheme(
    scheme: "http" | "https",
    signal: AbortSignal,
    refused?: unknown,
  ): Promise<void> {
    const { host, base, isInsecure } = this.#endpoint;
    const url = new URL(`${scheme}://${host}${base}/v2/`);
    const response = await this.#network.send({ method: "GET", url, isInsecure, signal });
    await response.body?.cancel();
    if (refused !== undefined && response.status === 400) throw refused;
    this.#facts.scheme = scheme;
    // What it asks for need not be found out by being refused.
    if (response.status === 401) {
      this.#facts.challenge = response.headers.get("www-authenticate") ?? "";
    }
  }

  #url({ path }: RegistryRequest): URL {
    if (path instanceof URL) return path;
    const { host, base, namespace } = this.#endpoint;
    const url = new URL(`${this.#facts.scheme ?? "https"}://${host}${base}${path}`);
    if (namespace !== undefined) url.searchParams.set("ns", namespace);
    return url;
  }
}
