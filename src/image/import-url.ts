/** `docker import URL`: the daemon fetches the tar itself. */
import { NaruError } from "#lib/errors.ts";
import { fetchReason } from "#lib/fetch-reason.ts";
import { redactedAddress } from "#lib/redacted-address.ts";
import { fetchProxy } from "#remote/hosts.ts";
import type { ProxyConfig } from "#remote/remote.ts";

/** An address without a scheme is one of HTTP, as Docker reads it. */
const urlOf = (source: string): URL => {
  const text = source.includes("://") ? source : `http://${source}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && ["http:", "https:"].includes(url.protocol)) return url;
  throw new NaruError(
    "invalid_argument",
    `cannot import from "${redactedAddress(source)}": it is no address of http or https; use "-" to send the archive as the request's body`,
  );
};

/** See `Images.fetchRoot`. */
export const fetchRoot = async (
  source: string,
  proxy: ProxyConfig,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> => {
  const url = urlOf(source);
  const told = redactedAddress(url.href);
  const failed = (reason: string, cause?: unknown): NaruError =>
    new NaruError("unavailable", `cannot import from "${told}": ${reason}`, { cause });
  let response: Response;
  try {
    response = await fetch(url, { signal, redirect: "follow", proxy: fetchProxy(url, proxy) });
  } catch (error) {
    signal.throwIfAborted();
    throw failed(fetchReason(error), error);
  }
  const { body, ok, status, statusText } = response;
  if (ok && body !== null) return body;
  await body?.cancel();
  const reason = `the server answered ${status} ${statusText}`.trim();
  if (status !== 404) throw failed(reason);
  throw new NaruError("not_found", `cannot import from "${told}": ${reason}`);
};
