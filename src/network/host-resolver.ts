/**
 * Names of containers for programs of the host, at a loopback address of it. What is not below the domain
 * goes to the host's servers, so that it can stand first in resolv.conf(5); nothing there is touched by us.
 */
import { type DnsView, answerQuery, failure } from "#network/dns-answer.ts";
import type { DnsForwarder } from "#network/dns-forward.ts";
import { type DnsSockets, type ListenTcp, openDnsSockets } from "#network/dns-sockets.ts";
import type { HostServers } from "#network/host-servers.ts";
import type { HostNames } from "#network/process-protocol.ts";

const STREAM_BYTES = 65_535;

const NOTHING: HostNames = { listen: undefined, domain: "", names: {} };

export class HostResolver {
  readonly #listenTcp: ListenTcp;
  readonly #forwarder: DnsForwarder;
  readonly #servers: HostServers;
  #told: HostNames = NOTHING;
  #sockets: DnsSockets | undefined;
  #turn = 0;

  constructor(listenTcp: ListenTcp, forwarder: DnsForwarder, servers: HostServers) {
    this.#listenTcp = listenTcp;
    this.#forwarder = forwarder;
    this.#servers = servers;
  }

  get isIdle(): boolean {
    return this.#sockets === undefined || Object.keys(this.#told.names).length === 0;
  }

  /** Throws when the address cannot be had; the names are known all the same. */
  async set(told: HostNames): Promise<void> {
    const before = this.#told.listen;
    this.#told = told;
    const { listen } = told;
    const isSame = before?.address === listen?.address && before?.port === listen?.port;
    if (isSame && this.#sockets !== undefined) return;
    this.close();
    if (listen === undefined) return;
    this.#servers.own = listen.address;
    const handlers = {
      datagram: (bytes: Uint8Array, reply: (answer: Uint8Array) => void) =>
        this.#answer(bytes, reply, false),
      message: (bytes: Uint8Array, reply: (answer: Uint8Array) => void) =>
        this.#answer(bytes, reply, true),
    };
    this.#sockets = await openDnsSockets(this.#listenTcp, (work) => work(), handlers, listen);
  }

  close(): void {
    this.#sockets?.close();
    this.#sockets = undefined;
  }

  readonly #view: DnsView = {
    lookup: (name) => {
      const { names, domain } = this.#told;
      const isOurs = name === domain || name.endsWith(`.${domain}`);
      // Below the domain nobody else is asked: names of localhost never leave the machine (RFC 6761 6.3).
      return Object.hasOwn(names, name) ? names[name] : isOurs ? [] : undefined;
    },
    reverse: () => undefined,
  };

  /** Each answer begins with another one. */
  readonly #turned = <T>(list: readonly T[]): T[] => {
    this.#turn += 1;
    const start = this.#turn % Math.max(1, list.length);
    return [...list.slice(start), ...list.slice(0, start)];
  };

  #answer(bytes: Uint8Array, reply: (answer: Uint8Array) => void, isTcp: boolean): void {
    const verdict = answerQuery(bytes, this.#view, this.#turned, isTcp ? STREAM_BYTES : undefined);
    if (verdict.kind === "ignore") return;
    if (verdict.kind === "answer") return reply(verdict.bytes);
    void this.#forwarder
      .ask(this.#servers.list(), bytes, isTcp)
      .then((answer) => reply(answer ?? failure(verdict.query, "serverFailure")));
  }
}
