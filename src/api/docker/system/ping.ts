/** GET and HEAD /_ping: the first call of every client, and the fastest path of the server. */
import type { Call } from "#api/docker/call.ts";
import { get, head, type Route } from "#api/docker/route.ts";
import { PreparedAnswer } from "#api/http/prepared.ts";

const FIELDS =
  "Builder-Version: 1\r\nCache-Control: no-cache, no-store, must-revalidate\r\n" +
  "Content-Type: text/plain; charset=utf-8\r\nPragma: no-cache\r\nSwarm: inactive\r\n";

export const pingAnswer = new PreparedAnswer(200, FIELDS, "OK");

const ping = (call: Call): void => {
  if (call.exchange.head.method === "HEAD") call.exchange.answer(200, FIELDS);
  else call.exchange.prepared(pingAnswer);
};

export const pingRoutes: readonly Route[] = [get("/_ping", ping), head("/_ping", ping)];
