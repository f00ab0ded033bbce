/** Searching an index: version 1 of Docker Hub's protocol, the one `docker search` speaks. */
import { NaruError } from "#lib/errors.ts";
import { faultOf } from "#remote/fault.ts";
import { isInsecureHost } from "#remote/hosts.ts";
import { type Network, networkCode } from "#remote/network.ts";
import { plainText } from "#spec/distribution/answers.ts";
import type { SearchItem } from "#spec/docker/image.ts";
import { readBounded } from "#remote/read-bounded.ts";
import type { RemoteConfig } from "#remote/remote.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";

interface SearchRequest {
  readonly term: string;
  readonly limit: number;
  readonly credentials: AuthConfig;
  readonly signal: AbortSignal;
}

const HUB_INDEX = "index.docker.io";
const ANSWER_MAX_BYTES = 4 * 1024 * 1024;

/** "localhost:5000/web" is a search for "web" there. */
const splitTerm = (term: string): { host: string; words: string } => {
  const at = term.indexOf("/");
  const first = at < 0 ? "" : term.slice(0, at);
  const isHost = first === "localhost" || /[.:]/.test(first);
  if (!isHost) return { host: HUB_INDEX, words: term };
  const words = term.slice(at + 1);
  return { host: first === "docker.io" ? HUB_INDEX : first, words };
};

const decodeResult = (value: unknown): SearchItem[] => {
  if (typeof value !== "object" || value === null) return [];
  const item = value as Record<string, unknown>;
  if (typeof item["name"] !== "string") return [];
  return [
    {
      name: plainText(item["name"]),
      description: plainText(item["description"]),
      star_count: typeof item["star_count"] === "number" ? item["star_count"] : 0,
      is_official: item["is_official"] === true,
      is_automated: item["is_automated"] === true,
    },
  ];
};

export const searchIndex = async (
  parts: { readonly config: RemoteConfig; readonly network: Network },
  request: SearchRequest,
): Promise<SearchItem[]> => {
  const { host, words } = splitTerm(request.term);
  const { username = "", password = "" } = request.credentials;
  const isInsecure = isInsecureHost(host, parts.config.insecure);
  const ask = async (scheme: string): Promise<Response> => {
    const url = new URL(`${scheme}://${host}/v1/search`);
    url.searchParams.set("q", words);
    url.searchParams.set("n", String(request.limit));
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
    return await parts.network.send({
      method: "GET",
      url,
      isInsecure,
      signal: request.signal,
      headers: username === "" ? {} : { Authorization: authorization },
    });
  };
  const response = await ask("https").catch(async (error: unknown) => {
    if (!isInsecure || networkCode(error) === undefined) throw error;
    return await ask("http");
  });
  if (response.status === 404) {
    await response.body?.cancel();
    throw new NaruError(
      "not_implemented",
      `"${host}" cannot be searched: it has no version 1 search; list its repositories with its own tools`,
    );
  }
  if (!response.ok) throw await faultOf(response, `search of "${host}"`);
  const bytes = await readBounded(response, ANSWER_MAX_BYTES, `search of "${host}"`);
  const answer = JSON.parse(Buffer.from(bytes).toString("utf8")) as { results?: unknown };
  return Array.isArray(answer.results) ? answer.results.flatMap(decodeResult) : [];
};
