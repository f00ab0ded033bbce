/** One row of the route table. */
import type { Call } from "#api/docker/call.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS";
export type Handler = (call: Call) => void | Promise<void>;

export interface Route {
  readonly method: Method;
  /** "/containers/{id}/json"; `{name…}` also takes slashes (names of images). */
  readonly pattern: string;
  readonly handler: Handler;
}

const route =
  (method: Method) =>
  (pattern: string, handler: Handler): Route => ({ method, pattern, handler });

export const get = route("GET");
export const head = route("HEAD");
export const post = route("POST");
export const put = route("PUT");
export const del = route("DELETE");
export const options = route("OPTIONS");
