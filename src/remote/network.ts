/** One HTTP exchange: proxy, TLS, and failures in words. No redirects, no retries, no credentials of its own. */
import { fetchReason } from "#lib/fetch-reason.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import { certificatesOf, systemAuthorities } from "#remote/certificates.ts";
import { fetchProxy, proxyFor } from "#remote/hosts.ts";
import type { RemoteConfig } from "#remote/remote.ts";
import { VERSION } from "#lib/version.ts";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PATCH" | "PUT" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** An iterable is sent in chunks as it comes. */
  readonly body?: string | Blob | AsyncIterable<Uint8Array>;
  /** Certificates are not verified. */
  readonly isInsecure: boolean;
  readonly signal: AbortSignal;
}

/** Nothing heard for so long, before the answer's head: the connection is given up. */
const HEAD_TIMEOUT_MS = 60_000;

/** As Go says them, whose words Docker's users know. */
const wordsOf = (code: string, url: URL): string | undefined => {
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  switch (code) {
    case "ECONNREFUSED":
    case "ConnectionRefused":
      return `dial tcp ${url.hostname}:${port}: connect: connection refused`;
    case "ENOTFOUND":
      return `dial tcp: lookup ${url.hostname}: no such host`;
    case "EAI_AGAIN":
      return `dial tcp: lookup ${url.hostname}: temporary failure in name resolution`;
    case "ECONNRESET":
    case "ConnectionClosed":
      return "connection reset by peer";
    case "EPROTO":
      return "http: server gave HTTP response to HTTPS client, or wants a certificate: name the registry insecure, or put client.cert and client.key into a certs.d folder of the daemon";
    case "ETIMEDOUT":
      return `dial tcp ${url.hostname}:${port}: i/o timeout`;
    default:
      return undefined;
  }
};

/** A connection that could not be made was one to the proxy, where there is one. */
const placeOf = (code: string, url: URL, proxy: string): string | undefined => {
  const isTarget = !URL.canParse(proxy) || code === "EPROTO" || code === "ECONNRESET";
  const words = wordsOf(code, isTarget ? url : new URL(proxy));
  return words === undefined || isTarget ? words : `proxyconnect tcp: ${words}`;
};

/** Codes that come of a certificate nobody known has signed. */
const UNTRUSTED = [
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_GET_ISSUER_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
];

const isCertificateFailure = (code: string): boolean =>
  UNTRUSTED.includes(code) || /CERT|ALTNAME/.test(code);

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";

/** What to do about a certificate that is not believed, with what of certs.d is of no use. */
const certificateRemedy = ({ host }: URL, directories: readonly string[]): string => {
  const { unusable } = certificatesOf(host, directories);
  const files = unusable.map((path) => `"${path}"`).join(", ");
  return (
    "put its authority into a certs.d folder of the daemon, or name the registry insecure" +
    (files === "" ? "" : `; no certificate in PEM is in ${files}`)
  );
};

const failure = (
  { method, url, signal }: HttpRequest,
  error: unknown,
  { certificateDirectories: directories, proxy }: RemoteConfig,
): Error => {
  if (signal.aborted && signal.reason instanceof Error) return signal.reason;
  const code = codeOf(error);
  const isTimeout = error instanceof Error && error.name === "TimeoutError";
  const reason = isTimeout
    ? `no answer within ${HEAD_TIMEOUT_MS / 1000} s`
    : isCertificateFailure(code)
      ? `tls: failed to verify certificate: ${fetchReason(error)}: ${certificateRemedy(url, directories)}`
      : (placeOf(code, url, proxyFor(url, proxy)) ?? fetchReason(error));
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  return new NaruError("unavailable", `${verb} "${url.origin}${url.pathname}": ${reason}`, {
    cause: error,
    details: { network: isCertificateFailure(code) ? "CERTIFICATE" : code },
  });
};

/** The errno-like word of a failure of `Network.send`; undefined for other errors. */
export const networkCode = (error: unknown): string | undefined =>
  hasCode(error, "unavailable") ? (error as NaruError).details["network"]?.toString() : undefined;

export class Network {
  readonly #config: RemoteConfig;
  /** Hosts whose certificate is fine by the machine's own authorities. */
  readonly #bySystem = new Set<string>();

  constructor(config: RemoteConfig) {
    this.#config = config;
  }

  /** Any status is an answer. Throws unavailable, or the signal's reason. */
  async send(request: HttpRequest): Promise<Response> {
    try {
      return await this.#fetch(request, this.#bySystem.has(request.url.host));
    } catch (error) {
      const isUnknown = UNTRUSTED.includes(codeOf(error)) && typeof request.body !== "object";
      if (!isUnknown || this.#bySystem.has(request.url.host)) {
        throw failure(request, error, this.#config);
      }
    }
    try {
      const response = await this.#fetch(request, true);
      this.#bySystem.add(request.url.host);
      return response;
    } catch (error) {
      throw failure(request, error, this.#config);
    }
  }

  #fetch(request: HttpRequest, isBySystem: boolean): Promise<Response> {
    const { method, url, headers, body, signal } = request;
    // Only until the head is there: a body takes as long as it takes, its reader watches over it.
    const timeout = new AbortController();
    const timer = setTimeout(
      () => timeout.abort(new DOMException("no answer", "TimeoutError")),
      typeof body === "object" ? HEAD_TIMEOUT_MS * 30 : HEAD_TIMEOUT_MS,
    );
    return fetch(url, {
      method,
      headers: { "User-Agent": `naru/${VERSION}`, "Accept-Encoding": "identity", ...headers },
      redirect: "manual",
      signal: AbortSignal.any([signal, timeout.signal]),
      decompress: false,
      ...(body === undefined ? {} : { body }),
      proxy: fetchProxy(url, this.#config.proxy),
      ...(url.protocol === "https:" ? { tls: this.#tls(request, isBySystem) } : {}),
    }).finally(() => clearTimeout(timer));
  }

  #tls({ url, isInsecure }: HttpRequest, isBySystem: boolean): Bun.TLSOptions {
    const { authorities, client } = certificatesOf(url.host, this.#config.certificateDirectories);
    const ca = [...authorities, ...(isBySystem ? systemAuthorities() : [])];
    return {
      ...(isInsecure ? { rejectUnauthorized: false } : {}),
      ...(ca.length === 0 ? {} : { ca }),
      ...(client === undefined ? {} : client),
    };
  }
}
