/**
 * Layers that their makers let no registry pass on (image-spec 1.1 layer.md, descriptor.md `urls`): fetched from where the
 * manifest says. A manifest is written by anybody, so: only after the registry said that it does not have the blob, only over
 * https (http for insecure hosts alone), no credentials ever, and a redirect is followed under the same rules.
 */
import { NaruError, toNaruError } from "#lib/errors.ts";
import { isInsecureHost } from "#remote/hosts.ts";
import type { Network } from "#remote/network.ts";
import type { BlobBody, RemoteConfig } from "#remote/remote.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";

const REDIRECTS_MAX = 5;
const URLS_MAX = 8;

export interface ForeignParts {
  readonly network: Network;
  readonly config: RemoteConfig;
}

const checked = (text: string, { insecure }: RemoteConfig, base?: URL): URL => {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  const isAllowed =
    url?.protocol === "https:" || (url?.protocol === "http:" && isInsecureHost(url.host, insecure));
  if (url === undefined || !isAllowed || url.username !== "" || url.password !== "") {
    throw new NaruError(
      "permission_denied",
      `"${text.slice(0, 200)}" is not fetched from: a layer's URL has to be https, without a password in it`,
    );
  }
  return url;
};

const open = async (
  { network, config }: ForeignParts,
  text: string,
  offset: number,
  signal: AbortSignal,
): Promise<Response> => {
  let url = checked(text, config);
  for (let hop = 0; hop <= REDIRECTS_MAX; hop += 1) {
    const response = await network.send({
      method: "GET",
      url,
      isInsecure: isInsecureHost(url.host, config.insecure),
      signal,
      ...(offset === 0 ? {} : { headers: { Range: `bytes=${offset}-` } }),
    });
    if (response.status === 200 || response.status === 206) return response;
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) {
      throw new NaruError("unavailable", `"${url.origin}" answers ${response.status}`);
    }
    url = checked(location, config, url);
  }
  throw new NaruError("unavailable", `"${url.origin}" redirects without an end`);
};

/** One URL after the other. Throws what the last one failed with; bytes are verified by whoever reads them. */
export const openForeign = async (
  parts: ForeignParts,
  blob: Descriptor,
  offset: number,
  signal: AbortSignal,
): Promise<BlobBody> => {
  let failure = new NaruError("not_found", `layer "${blob.digest}" has no URLs`);
  for (const url of (blob.urls ?? []).slice(0, URLS_MAX)) {
    try {
      const response = await open(parts, url, offset, signal);
      const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
      return {
        stream: response.body ?? new Blob([]).stream(),
        offset: response.status === 206 ? Number(range?.[1] ?? offset) : 0,
        passOver: () => false,
      };
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = toNaruError(error);
      failure = new NaruError(code, `foreign layer "${blob.digest}": ${message}`, { cause: error });
    }
  }
  throw failure;
};
