/** GET and HEAD /_ping: the first call of every client, and the fastest path of the server. */
import type { Call } from "#api/docker/call.ts";
import { get, head, type Route } from "#api/docker/route.ts";
import type { Exchange } from "#api/http/exchange.ts";
import { PreparedAnswer } from "#api/http/prepared.ts";

const FIELDS =
  "Builder-Version: 1\r\nCache-Control: no-cache, no-store, must-revalidate\r\n" +
  "Content-Type: text/plain; charset=utf-8\r\nPragma: no-cache\r\nSwarm: inactive\r\n";

const pingAnswer = new PreparedAnswer(200, FIELDS, "OK");

const ping = (exchange: Exchange): void => {
  if (exchange.head.method === "HEAD") exchange.answer(200, FIELDS);
  else exchange.prepared(pingAnswer);
};

/** Answers a ping without a version in its path, which needs neither routes nor rooms. False for any other request. */
export const answerPing = (exchange: Exchange): boolean => {
  const { method, path } = exchange.head;
  if (path !== "/_ping" || (method !== "GET" && method !== "HEAD")) return false;
  ping(exchange);
  return true;
};

const pingOf = ({ exchange }: Call): void => ping(exchange);

export const pingRoutes: readonly Route[] = [get("/_ping", pingOf), head("/_ping", pingOf)];
