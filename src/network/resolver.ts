/**
 * Runs in a process of its own (`network-process.ts`).
 *
 * Names for containers on user-defined networks: answers at 127.0.0.11 in each of their namespaces,
 * for the networks that the asking container is in; what nobody is called goes to the host's servers.
 */
import { randomHex } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";
import { type DnsView, MAX_UDP_BYTES, answerQuery, failure } from "#network/dns-answer.ts";
import { DnsForwarder } from "#network/dns-forward.ts";
import {
  type DnsHandlers,
  type DnsSockets,
  type ListenTcp,
  openDnsSockets,
} from "#network/dns-sockets.ts";
import { DnsZone } from "#network/dns-zone.ts";
import { gatewayEndpoint } from "#network/gateway.ts";
import { HostResolver } from "#network/host-resolver.ts";
import { HostServers } from "#network/host-servers.ts";
import type { NetworkHost } from "#network/host.ts";
import type { HostNames, NamedSandbox, ResolverPorts } from "#network/process-protocol.ts";
import type { EndpointHealth, Sandbox } from "#network/network.ts";

export interface ResolverOptions {
  readonly host: Pick<NetworkHost, "inNetns">;
  readonly listenTcp: ListenTcp;
  readonly logger: Logger;
}

/** Names of the host itself, as Docker Desktop has them. */
const HOST_NAMES = new Set([
  "host.docker.internal",
  "gateway.docker.internal",
  "host.naru.internal",
]);
const MAX_CACHED = 1000;
const STREAM_BYTES = 65_535;

const shuffle = <T>(list: readonly T[]): T[] => {
  const copy = [...list];
  for (let index = copy.length - 1; index > 0; index -= 1) {
    const other = Number.parseInt(randomHex(4), 16) % (index + 1);
    [copy[index], copy[other]] = [copy[other] as T, copy[index] as T];
  }
  return copy;
};

interface Client {
  sandbox: Sandbox;
  readonly sockets: DnsSockets;
  /** Answers by the query's bytes without its id, for one version of the zone. */
  readonly cache: Map<string, Uint8Array>;
  cacheVersion: number;
}

export class Resolver {
  readonly #options: ResolverOptions;
  readonly #zone = new DnsZone();
  readonly #forwarder = new DnsForwarder();
  readonly #clients = new Map<string, Client>();
  /** What `host.docker.internal` is. */
  #hostAddress = "";
  readonly #servers: HostServers;
  readonly #host: HostResolver;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#servers = new HostServers(options.logger);
    this.#host = new HostResolver(options.listenTcp, this.#forwarder, this.#servers);
  }

  get isIdle(): boolean {
    return this.#clients.size === 0 && this.#host.isIdle;
  }

  /** The sandbox as it is from now on. Gives the ports at which its resolver listens; none without names. */
  async set({ sandbox, health }: NamedSandbox): Promise<ResolverPorts | undefined> {
    this.#zone.set(sandbox);
    this.#zone.setHealth(sandbox.sandboxId, health);
    const client = this.#clients.get(sandbox.sandboxId);
    if (client !== undefined) {
      client.sandbox = sandbox;
      client.cache.clear();
      return client.sockets;
    }
    if (sandbox.endpoints.every(({ names }) => names.length === 0)) return undefined;
    try {
      return await this.#open(sandbox);
    } catch (error) {
      this.delete(sandbox.sandboxId);
      throw error;
    }
  }

  setHealth(sandboxId: string, health: EndpointHealth): void {
    if (this.#clients.has(sandboxId)) this.#zone.setHealth(sandboxId, health);
  }

  /** All others go. */
  keep(sandboxIds: readonly string[], hostAddress: string): void {
    this.#hostAddress = hostAddress;
    const kept = new Set(sandboxIds);
    for (const { sandbox, cache } of this.#clients.values()) {
      cache.clear();
      if (!kept.has(sandbox.sandboxId)) this.delete(sandbox.sandboxId);
    }
  }

  /** Idempotent. An open socket would keep the namespace. */
  delete(sandboxId: string): void {
    this.#zone.delete({ sandboxId });
    this.#zone.setHealth(sandboxId, undefined);
    const client = this.#clients.get(sandboxId);
    this.#clients.delete(sandboxId);
    client?.sockets.close();
  }

  /** Names of containers for the host itself. */
  async setHostNames(task: HostNames): Promise<void> {
    await this.#host.set(task);
  }

  close(): void {
    this.#host.close();
    for (const client of this.#clients.values()) client.sockets.close();
    this.#clients.clear();
    this.#forwarder.close();
  }

  async #open(sandbox: Sandbox): Promise<ResolverPorts> {
    const { host, listenTcp } = this.#options;
    const { netnsPath, sandboxId } = sandbox;
    const handlers: DnsHandlers = {
      datagram: (bytes, reply) => this.#answer(sandboxId, bytes, reply, false),
      message: (bytes, reply) => this.#answer(sandboxId, bytes, reply, true),
    };
    const inside = <T>(work: () => T): T => host.inNetns(netnsPath, work);
    const sockets = await openDnsSockets(listenTcp, inside, handlers);
    const cache = new Map<string, Uint8Array>();
    this.#clients.set(sandboxId, { sandbox, sockets, cache, cacheVersion: -1 });
    return sockets;
  }

  #answer(
    sandboxId: string,
    bytes: Uint8Array,
    reply: (answer: Uint8Array) => void,
    isTcp: boolean,
  ): void {
    const client = this.#clients.get(sandboxId);
    if (client === undefined) return;
    const key = isTcp ? "" : this.#cacheKey(client, bytes);
    const known = client.cache.get(key);
    if (known !== undefined) {
      const copy = new Uint8Array(known);
      copy[0] = bytes[0] ?? 0;
      copy[1] = bytes[1] ?? 0;
      return reply(copy);
    }
    let isVaried = false;
    const mix = <T>(list: readonly T[]): T[] => {
      isVaried = list.length > 1;
      return isVaried ? shuffle(list) : [...list];
    };
    const view = this.#viewOf(client.sandbox);
    const verdict = answerQuery(bytes, view, mix, isTcp ? STREAM_BYTES : undefined);
    if (verdict.kind === "ignore") return;
    if (verdict.kind === "answer") {
      if (!isTcp && !isVaried && client.cache.size < MAX_CACHED)
        client.cache.set(key, verdict.bytes);
      return reply(verdict.bytes);
    }
    void this.#forward(client.sandbox, bytes, isTcp).then((answer) =>
      reply(answer ?? failure(verdict.query, "serverFailure")),
    );
  }

  #cacheKey(client: Client, bytes: Uint8Array): string {
    if (client.cacheVersion !== this.#zone.version) {
      client.cache.clear();
      client.cacheVersion = this.#zone.version;
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1", 2);
  }

  #viewOf({ endpoints }: Sandbox): DnsView {
    const networks = endpoints.filter(({ names }) => names.length > 0);
    return {
      lookup: (name) => {
        if (HOST_NAMES.has(name)) {
          const own = gatewayEndpoint(endpoints);
          // An internal network leads to its own bridge at most.
          return own === undefined ? [] : [this.#hostAddress];
        }
        for (const { networkId, links } of networks) {
          const found = this.#zone.lookup(networkId, links?.[name] ?? name);
          if (found !== undefined) return found;
        }
        return undefined;
      },
      reverse: (address) => {
        for (const { networkId } of networks) {
          const found = this.#zone.reverse(networkId, address);
          if (found !== undefined) return found;
        }
        return undefined;
      },
    };
  }

  async #forward(
    sandbox: Sandbox,
    bytes: Uint8Array,
    isTcp: boolean,
  ): Promise<Uint8Array | undefined> {
    // From an internal network nothing leaves, not even a question.
    if (gatewayEndpoint(sandbox.endpoints) === undefined) return undefined;
    if (!isTcp && bytes.length > MAX_UDP_BYTES) return undefined;
    const own = sandbox.nameservers ?? [];
    return await this.#forwarder.ask(own.length > 0 ? own : this.#servers.list(), bytes, isTcp);
  }
}
