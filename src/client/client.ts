/**
 * Typed calls of the Engine API. The newest version naru knows is asked for at once; an engine that
 * says it is older is believed and asked again, so there is no negotiation round trip.
 */
import type { Address, Connection } from "#client/connection.ts";
import { responseError } from "#client/errors.ts";
import { HttpClient } from "#client/http.ts";
import type { HttpRequest, HttpResponse, Upgraded } from "#client/http.ts";
import { isUpgraded } from "#client/hijack.ts";
import { routes } from "#client/routes.ts";
import type { Route, RouteName, Routes } from "#client/routes.ts";
import { randomHex } from "#lib/clock.ts";
import { API_VERSION_MAX, compareVersions } from "#spec/docker/api-version.ts";

type Placeholders<P extends string> = P extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholders<Rest>
  : never;

/** Undefined and false are left out, arrays repeat the key, objects are sent as JSON. */
export type Query = Readonly<
  Record<string, string | number | boolean | readonly string[] | object | undefined>
>;

type PathOf<N extends RouteName> = Routes[N]["path"];
type TypesOf<N extends RouteName> =
  Routes[N] extends Route<string, infer Kind, infer Result, infer Body>
    ? { kind: Kind; result: Result; body: Body }
    : never;

export type CallOptions<N extends RouteName> = {
  readonly [name in Placeholders<PathOf<N>>]: string;
} & {
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
} & (TypesOf<N>["body"] extends undefined
    ? object
    : { readonly body: Exclude<TypesOf<N>["body"], undefined> });

export type CallResult<N extends RouteName> = TypesOf<N>["kind"] extends "stream"
  ? HttpResponse
  : TypesOf<N>["result"];

interface LooseOptions {
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly body?: unknown;
}

const encodeQuery = (query: Query | undefined): string => {
  const pairs: string[] = [];
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === false) continue;
    const values = Array.isArray(value) ? value : [value];
    for (const item of values as readonly unknown[]) {
      const text = item === true ? "1" : typeof item === "string" ? item : JSON.stringify(item);
      pairs.push(`${key}=${encodeURIComponent(text)}`);
    }
  }
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
};

/** Image names keep their slashes and colons: the engine's routes take them as they are. */
const encodeSegment = (text: string): string =>
  encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%40", "@");

export const buildPath = (path: string, options: LooseOptions): string =>
  path.replaceAll(/\{(\w+)\}/g, (_all, name: string) =>
    encodeSegment(String(Reflect.get(options, name))),
  ) + encodeQuery(options.query);

const isAsyncIterable = (value: unknown): value is AsyncIterable<Uint8Array> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;

/** The version to step down to. A HEAD's refusal has no text: its header names what is spoken. */
const olderVersion = (answer: HttpResponse, text: string): string | undefined => {
  if (answer.status !== 400) return undefined;
  if (text === "") return answer.headers.get("api-version");
  return /too new\. Maximum supported API version is (\d+\.\d+)/.exec(text)?.[1];
};

export class Client {
  readonly http: HttpClient;
  #version: string = API_VERSION_MAX;
  #isVersionKnown = false;
  #headers: Readonly<Record<string, string>>;

  /** `headers` go with every request, as a proxy in front of the engine may ask for. */
  constructor(
    address: Address,
    dial?: (address: Address) => Promise<Connection>,
    headers: Readonly<Record<string, string>> = {},
  ) {
    this.http = new HttpClient(address, dial);
    this.#headers = headers;
  }

  /** What is removed from now on is one removal to naru's trash: `naru undo` brings all of it back at once. */
  beginRemoval(): void {
    this.#headers = { ...this.#headers, "Naru-Batch": randomHex(6) };
  }

  /** The API version in use: what was asked for until an engine corrected it. */
  get version(): string {
    return this.#version;
  }

  /** Pins another version than the newest (DOCKER_API_VERSION). */
  pinVersion(version: string): void {
    this.#version = version;
    this.#isVersionKnown = true;
  }

  /** Throws the engine's own refusal as a NaruError with `details.status`. */
  async call<N extends RouteName>(name: N, options: CallOptions<N>): Promise<CallResult<N>> {
    const route: Route<string, "json" | "none" | "stream", unknown, unknown> = routes[name];
    const loose: LooseOptions = options;
    if (isAsyncIterable(loose.body)) await this.#settleVersion();
    const response = await this.#send(() => this.#request(route, loose));
    if (route.answer === "stream") return response as CallResult<N>;
    const text = await response.text();
    const result: unknown = route.answer === "json" ? JSON.parse(text) : undefined;
    return result as CallResult<N>;
  }

  /** Attach and exec: the connection itself. */
  async upgrade<N extends "containerAttach" | "execStart">(
    name: N,
    options: CallOptions<N>,
  ): Promise<Upgraded> {
    for (;;) {
      const version = this.#version;
      const request = this.#request(routes[name], options);
      const body = typeof request.body === "string" ? { body: request.body } : {};
      const answer = await this.http.upgrade({ ...request, body: "", ...body });
      if (isUpgraded(answer)) return answer;
      const text = await answer.text();
      if (!this.#stepDown(version, answer, text)) throw responseError(answer.status, text);
    }
  }

  async #send(build: () => HttpRequest): Promise<HttpResponse> {
    for (;;) {
      const version = this.#version;
      const response = await this.http.request(build());
      if (response.status < 300 || response.status === 304) {
        this.#isVersionKnown = true;
        return response;
      }
      const text = await response.text();
      if (!this.#stepDown(version, response, text)) throw responseError(response.status, text);
    }
  }

  /** True when the request is worth another try with the version that is in use now. */
  #stepDown(asked: string, answer: HttpResponse, text: string): boolean {
    const older = olderVersion(answer, text);
    if (older === undefined || compareVersions(older, asked) >= 0) return false;
    // Another request at the same time may have learnt it already.
    if (this.#version !== asked) return true;
    if (this.#isVersionKnown) return false;
    this.pinVersion(older);
    return true;
  }

  /** A streamed body cannot be sent twice, so the version must be right the first time. */
  async #settleVersion(): Promise<void> {
    if (!this.#isVersionKnown) await this.call("ping", {});
  }

  #request(
    route: Route<string, "json" | "none" | "stream", unknown, unknown>,
    options: LooseOptions,
  ): HttpRequest {
    const { body, signal } = options;
    const isJson = body !== undefined && !isAsyncIterable(body);
    const sent = body === undefined ? {} : { body: isJson ? JSON.stringify(body) : body };
    return {
      method: route.method,
      path: `/v${this.#version}${buildPath(route.path, options)}`,
      headers: {
        ...this.#headers,
        "User-Agent": "naru-cli",
        ...(isJson ? { "Content-Type": "application/json" } : {}),
        ...options.headers,
      },
      ...sent,
      ...(signal === undefined ? {} : { signal }),
    };
  }

  close(): void {
    this.http.close();
  }
}
