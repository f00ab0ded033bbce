/** The front door's process: its sockets, its table, its certificates, as the daemon says. */
import type { Duplex } from "node:stream";
import type { CompanionWork } from "#companion/process.ts";
import { serveDoorConnection } from "#api/door/connection.ts";
import { Exchanges } from "#api/door/exchange.ts";
import { Upstreams } from "#api/door/upstream.ts";
import { Authority, type ServerCertificate } from "#door/authority.ts";
import { DOOR_DOMAIN, type DoorConfig, type DoorStatus, type DoorTask } from "#door/door.ts";
import { DoorTable, hostOf } from "#door/table.ts";
import { toNaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";

export interface DoorSocket extends Duplex {
  readonly remoteAddress?: string | undefined;
}

/** Opens a listening socket; throws with the system's word for why not. */
export interface DoorListeners {
  http(address: string, port: number, onSocket: (socket: DoorSocket) => void): Promise<Closable>;
  https(
    address: string,
    port: number,
    certificateOf: (serverName: string) => Promise<ServerCertificate>,
    onSocket: (socket: DoorSocket) => void,
  ): Promise<Closable>;
}

export interface Closable {
  close(): void;
}

const MAX_CONNECTIONS = 8192;

const shown = (scheme: string, address: string, port: number): string =>
  `${scheme}://${address.includes(":") ? `[${address}]` : address}:${port}`;

class DoorProcess {
  readonly #listeners: DoorListeners;
  readonly #log: Logger;
  readonly #table = new DoorTable();
  readonly #exchanges = new Exchanges(this.#table, new Upstreams());
  /** By address; a promise, for two configurations may come one after the other. */
  #open = new Map<string, Closable>();
  #status: DoorStatus = { listening: [], problems: [] };
  #authority: Promise<Authority> | undefined;
  #connections = 0;

  constructor(listeners: DoorListeners, log: Logger) {
    this.#listeners = listeners;
    this.#log = log;
  }

  get isIdle(): boolean {
    return this.#table.routes.every(({ targets }) =>
      targets.every(({ state }) => state === "down"),
    );
  }

  async handle(task: DoorTask): Promise<DoorStatus | undefined> {
    if (task.kind === "configure") return await this.#configure(task.config);
    if (task.kind === "routes") this.#table.set(task.routes);
    return this.#status;
  }

  close(): void {
    for (const listener of this.#open.values()) listener.close();
  }

  /** Sockets that are open stay so; those not wanted any more are closed; the others are tried. */
  async #configure({ http, https, directory }: DoorConfig): Promise<DoorStatus> {
    const wanted = [
      ...(http?.addresses ?? []).map((address) => ({
        isTls: false,
        address,
        port: http?.port ?? 0,
      })),
      ...(https?.addresses ?? []).map((address) => ({
        isTls: true,
        address,
        port: https?.port ?? 0,
      })),
    ];
    const problems: string[] = [];
    const open = new Map<string, Closable>();
    for (const { isTls, address, port } of wanted) {
      const name = shown(isTls ? "https" : "http", address, port);
      const known = this.#open.get(name);
      this.#open.delete(name);
      try {
        // oxlint-disable-next-line no-await-in-loop -- two or four of them
        open.set(name, known ?? (await this.#listen(isTls, address, port, directory)));
      } catch (error) {
        problems.push(explain(name, error, isTls));
      }
    }
    for (const listener of this.#open.values()) listener.close();
    this.#open = open;
    this.#status = { listening: [...open.keys()], problems };
    return this.#status;
  }

  async #listen(
    isTls: boolean,
    address: string,
    port: number,
    directory: string,
  ): Promise<Closable> {
    const onSocket = (socket: DoorSocket): void => this.#accept(socket, isTls, port);
    if (!isTls) return await this.#listeners.http(address, port, onSocket);
    this.#authority ??= Authority.open(directory);
    this.#authority.catch(() => {
      this.#authority = undefined;
    });
    const authority = await this.#authority;
    const certificateOf = (serverName: string): Promise<ServerCertificate> => {
      const name = hostOf(serverName);
      const isOurs = this.#table.has(name) || name.endsWith(`.${DOOR_DOMAIN}`);
      return authority.issue(isOurs ? name : DOOR_DOMAIN);
    };
    return await this.#listeners.https(address, port, certificateOf, onSocket);
  }

  #accept(socket: DoorSocket, isTls: boolean, port: number): void {
    if (this.#connections >= MAX_CONNECTIONS) return void socket.destroy();
    this.#connections += 1;
    const arrival = { isTls, port, clientAddress: socket.remoteAddress ?? "" };
    serveDoorConnection(socket, arrival, this.#exchanges)
      .catch((error: unknown) => {
        this.#log.error("the front door lost a connection", { error: String(error) });
        socket.destroy();
      })
      .finally(() => {
        this.#connections -= 1;
      });
  }
}

const explain = (name: string, thrown: unknown, isTls: boolean): string => {
  const error = toNaruError(thrown);
  const errno = (thrown as { code?: unknown }).code ?? error.details["errno"];
  if (errno === "EADDRINUSE") {
    const port = name.slice(name.lastIndexOf(":") + 1);
    const flag = isTls ? "--front-door-https" : "--front-door-http";
    return `cannot listen on ${name}: the port is in use (ss -ltnp 'sport = :${port}' shows by whom): free it, or choose another by ${flag}`;
  }
  return `cannot listen on ${name}: ${error.message}`;
};

export const openDoor = (listeners: DoorListeners, log: Logger): CompanionWork => {
  const door = new DoorProcess(listeners, log);
  return {
    handle: (body) => door.handle(body as DoorTask),
    isIdle: () => door.isIdle,
    close: () => door.close(),
  };
};
