/** A client's connection to the front door: one request after the other. */
import type { Duplex } from "node:stream";
import { type RequestHead, parseHead } from "#api/http/head.ts";
import type { Exchanges, Outcome } from "#api/door/exchange.ts";
import { Feed, write } from "#api/door/feed.ts";
import type { Arrival } from "#api/door/forwarded.ts";
import { refused, renderPage } from "#api/door/pages.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";

/** How long a client may be about its head, or silent between two requests. */
const HEAD_MS = 60_000;

const statusOf = (error: unknown): number => {
  const status = error instanceof NaruError ? error.details["status"] : undefined;
  return typeof status === "number" ? status : 400;
};

/** undefined: the connection is over. */
const readHead = async (feed: Feed): Promise<{ text: string; head: RequestHead } | undefined> => {
  const timer = setTimeout(() => feed.socket.destroy(), HEAD_MS);
  try {
    const text = await feed.head();
    return text === undefined ? undefined : { text, head: parseHead(text) };
  } catch (error) {
    const said = refused(statusOf(error), toNaruError(error).message);
    await write(feed.socket, renderPage(said, "", false, false));
    return undefined;
  } finally {
    clearTimeout(timer);
  }
};

const answerPage = async (
  feed: Feed,
  head: RequestHead,
  { page }: Extract<Outcome, { kind: "page" }>,
): Promise<boolean> => {
  // A body that nobody takes would be read as the next request.
  const isKept = head.isKeepAlive && head.contentLength === 0;
  const accept = head.fields.get("accept") ?? "";
  const isWritten = await write(
    feed.socket,
    renderPage(page, accept, head.method === "HEAD", isKept),
  );
  return isWritten && isKept;
};

/** Resolves when it is over; never rejects. The socket is closed then. */
export const serveDoorConnection = async (
  socket: Duplex,
  arrival: Arrival,
  exchanges: Exchanges,
): Promise<void> => {
  const client = new Feed(socket);
  try {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one request after the other
      const request = await readHead(client);
      if (request === undefined) break;
      // oxlint-disable-next-line no-await-in-loop -- answers in the order of requests
      const outcome = await exchanges.run({ ...request, client, arrival });
      const isKept =
        outcome.kind === "page"
          ? // oxlint-disable-next-line no-await-in-loop -- as above
            await answerPage(client, request.head, outcome)
          : outcome.kind === "kept";
      if (!isKept) break;
    }
  } finally {
    if (!socket.destroyed) socket.end();
  }
};
