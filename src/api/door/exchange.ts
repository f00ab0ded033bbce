/** One request and its answer through the front door, or the tunnel that it turns into. */
import type { Duplex } from "node:stream";
import { createBodyDecoder } from "#spec/http/body-decoder.ts";
import type { RequestHead } from "#api/http/head.ts";
import { type Feed, write } from "#api/door/feed.ts";
import {
  type Arrival,
  type ResponseHead,
  forwardRequest,
  forwardResponse,
  parseResponseHead,
  upgradeOf,
} from "#api/door/forwarded.ts";
import { type Page, noAnswer, noSuchHost, noSuchPath, nobodyReady } from "#api/door/pages.ts";
import type { Upstream, Upstreams } from "#api/door/upstream.ts";
import type { DoorRoute, DoorTarget } from "#door/door.ts";
import { type DoorTable, hostOf } from "#door/table.ts";

export interface Request {
  readonly head: RequestHead;
  readonly text: string;
  readonly client: Feed;
  readonly arrival: Arrival;
}

/** "kept": the next request may come. */
export type Outcome =
  | { readonly kind: "kept" }
  | { readonly kind: "over" }
  | { readonly kind: "page"; page: Page };

const OVER: Outcome = { kind: "over" };

const page = (said: Page): Outcome => ({ kind: "page", page: said });

/** The body as it is framed; false when a side broke off or the framing is wrong. */
const pump = async (
  from: Feed,
  to: Duplex,
  length: number | undefined | null,
): Promise<boolean> => {
  const decoder = length === null ? undefined : createBodyDecoder(length);
  while (decoder?.isDone !== true) {
    // oxlint-disable-next-line no-await-in-loop -- piece after piece
    const bytes = await from.next();
    if (bytes === undefined) return decoder === undefined;
    const end = decoder?.feed(bytes, 0, () => undefined) ?? bytes.length;
    from.putBack(bytes.subarray(end));
    // oxlint-disable-next-line no-await-in-loop -- as fast as the other side takes it
    if (!(await write(to, bytes.subarray(0, end)))) return false;
  }
  return true;
};

/** Both ways until both have ended: each side's end is told to the other. */
const tunnel = async (client: Feed, target: Feed): Promise<void> => {
  const oneWay = async (from: Feed, to: Duplex): Promise<void> => {
    await pump(from, to, null);
    if (!to.destroyed) to.end();
  };
  const gone = (): void => {
    client.socket.destroy();
    target.socket.destroy();
  };
  client.socket.once("error", gone);
  target.socket.once("error", gone);
  await Promise.all([oneWay(client, target.socket), oneWay(target, client.socket)]);
};

const pathOf = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // no UTF-8 behind the percent signs: as it stands
  }
};

export class Exchanges {
  readonly #table: DoorTable;
  readonly #upstreams: Upstreams;

  constructor(table: DoorTable, upstreams: Upstreams) {
    this.#table = table;
    this.#upstreams = upstreams;
  }

  async run(request: Request): Promise<Outcome> {
    const { head } = request;
    const host = hostOf(head.fields.get("host") ?? "");
    if (!this.#table.has(host)) return page(noSuchHost(host, this.#table.routes));
    const path = pathOf(head.path);
    const route = this.#table.find(host, path);
    if (route === undefined) return page(noSuchPath(host, path));
    const targets = this.#table.order(route);
    if (targets.length === 0) return page(nobodyReady(route));
    return await this.#tryAll(request, route, targets);
  }

  /** Who cannot be reached is passed over: nothing has been sent yet. */
  async #tryAll(
    request: Request,
    route: DoorRoute,
    targets: readonly DoorTarget[],
  ): Promise<Outcome> {
    let said: Page | undefined;
    for (const target of targets) {
      const end = this.#table.begin(target);
      try {
        // oxlint-disable-next-line no-await-in-loop -- the next one is for when this one is not there
        return await this.#throughOne(request, target);
      } catch (error) {
        said = noAnswer(route, target, error instanceof Error ? error.message : String(error));
        if (error instanceof BrokenOff) return page(said);
      } finally {
        end();
      }
    }
    return said === undefined ? page(nobodyReady(route)) : page(said);
  }

  async #throughOne(request: Request, target: DoorTarget): Promise<Outcome> {
    const { ip = "", port = 0 } = target;
    const kept = this.#upstreams.take(ip, port);
    if (kept !== undefined) {
      const outcome = await this.#converse(request, kept, target);
      // A kept connection that the target was just closing; with a body it would be sent twice.
      if (outcome !== undefined) return outcome;
    }
    const outcome = await this.#converse(request, await this.#upstreams.open(ip, port), target);
    if (outcome === undefined) throw new BrokenOff("it hung up without an answer");
    return outcome;
  }

  /** undefined: it ended before a word of an answer, and nothing of a body was sent. */
  async #converse(
    { head, text, client, arrival }: Request,
    upstream: Upstream,
    { ip = "", port = 0 }: DoorTarget,
  ): Promise<Outcome | undefined> {
    const { feed, socket } = upstream;
    const drop = (): void => void socket.destroy();
    client.socket.once("close", drop);
    try {
      const lines = text.split("\r\n").slice(1);
      const upgrade = upgradeOf(head.upgrade, lines);
      const host = head.fields.get("host") ?? "";
      await write(socket, forwardRequest(text, arrival, host, upgrade));
      const hasBody = head.contentLength !== 0;
      const sent = hasBody ? this.#sendBody(client, socket, head) : Promise.resolve(true);
      const answer = await this.#answer(feed, client, head.method);
      if (answer === undefined) {
        drop();
        if (hasBody) throw new BrokenOff("it hung up without an answer");
        return undefined;
      }
      if (answer.status === 101) {
        await write(client.socket, forwardResponse(answer, true, upgrade));
        await tunnel(client, feed);
        return OVER;
      }
      return await this.#passAnswer(head, answer, client, upstream, sent, { ip, port });
    } finally {
      client.socket.off("close", drop);
    }
  }

  async #sendBody(client: Feed, socket: Duplex, head: RequestHead): Promise<boolean> {
    try {
      return await pump(client, socket, head.contentLength);
    } catch {
      // Wrongly framed: what follows cannot be told from it.
      socket.destroy();
      client.socket.destroy();
      return false;
    }
  }

  /** Interim answers (RFC 9110 15.2) are passed on as they come. */
  async #answer(feed: Feed, client: Feed, method: string): Promise<ResponseHead | undefined> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const text = await feed.head();
      if (text === undefined) return undefined;
      let answer: ResponseHead;
      try {
        answer = parseResponseHead(text, method);
      } catch (error) {
        feed.socket.destroy();
        throw new BrokenOff(error instanceof Error ? error.message : String(error));
      }
      if (answer.status >= 200 || answer.status === 101) return answer;
      // oxlint-disable-next-line no-await-in-loop -- before what follows
      await write(client.socket, forwardResponse(answer, true, undefined));
    }
  }

  async #passAnswer(
    head: RequestHead,
    answer: ResponseHead,
    client: Feed,
    upstream: Upstream,
    sent: Promise<boolean>,
    { ip, port }: { readonly ip: string; readonly port: number },
  ): Promise<Outcome> {
    const isFramed = answer.bodyLength !== null;
    const isKept = head.isKeepAlive && isFramed;
    await write(client.socket, forwardResponse(answer, isKept, undefined));
    const isWhole = await pump(upstream.feed, client.socket, answer.bodyLength).catch(() => false);
    if (!isWhole) {
      // The client must see that something is missing.
      upstream.socket.destroy();
      client.socket.destroy();
      return OVER;
    }
    // A target that answers before it has taken the whole body: the rest is not waited for.
    const isSent = await Promise.race([sent, Promise.resolve(undefined)]);
    if (isSent !== true) {
      upstream.socket.destroy();
      return OVER;
    }
    if (answer.canBeKept && isFramed) this.#upstreams.keep(ip, port, upstream);
    else upstream.socket.destroy();
    return isKept ? { kind: "kept" } : OVER;
  }
}

/** It went wrong after something had been sent: nobody else may be asked. */
class BrokenOff extends Error {}
