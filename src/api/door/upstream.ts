/** Connections to containers: kept a few seconds for the next request, a few for each address. */
import { type Socket, connect } from "node:net";
import { Feed } from "#api/door/feed.ts";

const CONNECT_MS = 3000;
const IDLE_MS = 4000;
const MAX_IDLE = 32;

export interface Upstream {
  readonly feed: Feed;
  readonly socket: Socket;
  /** It has answered before: the target may have closed it at the moment of a new request. */
  readonly isUsed: boolean;
}

interface Idle {
  readonly upstream: Upstream;
  readonly timer: NodeJS.Timeout;
}

export class Upstreams {
  readonly #idle = new Map<string, Idle[]>();

  /** Rejects when nothing listens there, or nobody answers in time. */
  async open(ip: string, port: number): Promise<Upstream> {
    const { promise, resolve, reject } = Promise.withResolvers<Upstream>();
    const socket = connect({ host: ip, port, noDelay: true, allowHalfOpen: true });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer within ${CONNECT_MS / 1000} s`));
    }, CONNECT_MS);
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve({ socket, feed: new Feed(socket), isUsed: false });
    });
    return await promise;
  }

  /** One that has answered before and is still open. */
  take(ip: string, port: number): Upstream | undefined {
    const list = this.#idle.get(`${ip}:${port}`) ?? [];
    for (let idle = list.pop(); idle !== undefined; idle = list.pop()) {
      clearTimeout(idle.timer);
      if (idle.upstream.feed.isQuiet && !idle.upstream.socket.destroyed) return idle.upstream;
      idle.upstream.socket.destroy();
    }
    return undefined;
  }

  keep(ip: string, port: number, { feed, socket }: Upstream): void {
    const key = `${ip}:${port}`;
    const list = this.#idle.get(key) ?? [];
    if (list.length >= MAX_IDLE || !feed.isQuiet) return void socket.destroy();
    const timer = setTimeout(() => {
      const left = (this.#idle.get(key) ?? []).filter(({ upstream }) => upstream.socket !== socket);
      if (left.length === 0) this.#idle.delete(key);
      else this.#idle.set(key, left);
      socket.destroy();
    }, IDLE_MS).unref();
    this.#idle.set(key, [...list, { upstream: { feed, socket, isUsed: true }, timer }]);
  }
}
