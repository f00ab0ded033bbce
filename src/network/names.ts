/**
 * Names for sandboxes, the daemon's side: what is to be known, told to the process that answers. It is
 * started with the first sandbox that can have names, and goes on while the daemon is away.
 */
import type { Ask } from "#companion/companion.ts";
import type { Logger } from "#lib/log.ts";
import type { Beside } from "#network/beside.ts";
import { renderDnsRules } from "#network/dns-sockets.ts";
import type { NetworkHost } from "#network/host.ts";
import type { HostNames, NamedSandbox, ResolverPorts } from "#network/process-protocol.ts";
import type { EndpointHealth, RestoreEntry, Sandbox } from "#network/network.ts";

export const hasNames = ({ endpoints }: Sandbox): boolean =>
  endpoints.some((endpoint) => endpoint.names.length > 0);

export interface NamesOptions {
  readonly host: Pick<NetworkHost, "applyRulesetIn">;
  readonly beside: Beside;
  /** What `host.docker.internal` is. */
  readonly hostAddress: () => string;
  readonly logger: Logger;
}

export class Names {
  readonly #options: NamesOptions;
  readonly #known = new Map<string, NamedSandbox>();
  /** The ports that the rules in a sandbox lead to. */
  readonly #ruled = new Map<string, ResolverPorts>();

  #hostNames: HostNames | undefined;

  constructor(options: NamesOptions) {
    this.#options = options;
    options.beside.onSync((ask) => this.#sync(ask));
  }

  /** The sandbox as it is from now on. Resolves when its resolver answers. */
  async set(sandbox: Sandbox, health?: EndpointHealth): Promise<void> {
    const { sandboxId } = sandbox;
    const before = this.#known.get(sandboxId);
    if (before === undefined && !hasNames(sandbox)) return;
    const state = health ?? before?.health;
    const named = { sandbox, ...(state === undefined ? {} : { health: state }) };
    this.#known.set(sandboxId, named);
    try {
      await this.#lead(named, (task) => this.#options.beside.ask(task as never));
    } catch (error) {
      if (before === undefined) this.delete(sandbox);
      throw error;
    }
  }

  /** After a restart: the process went on meanwhile. A failure is told; the container runs on. */
  async setAgain(entries: readonly RestoreEntry[]): Promise<void> {
    for (const { sandbox, health } of entries) {
      if (!hasNames(sandbox)) continue;
      const named = { sandbox, ...(health === undefined ? {} : { health }) };
      this.#known.set(sandbox.sandboxId, named);
    }
    if (this.#known.size > 0) await this.#options.beside.warm();
  }

  async setHostNames(names: HostNames): Promise<void> {
    this.#hostNames = names;
    await this.#options.beside.ask({ kind: "hostNames", ...names });
  }

  rename(sandbox: Sandbox): void {
    const before = this.#known.get(sandbox.sandboxId);
    if (before === undefined) return;
    const named = { ...before, sandbox };
    this.#known.set(sandbox.sandboxId, named);
    this.#options.beside.tell({ kind: "set", ...named });
  }

  setHealth({ sandboxId }: Sandbox, health: EndpointHealth): void {
    const before = this.#known.get(sandboxId);
    if (before === undefined || before.health === health) return;
    this.#known.set(sandboxId, { ...before, health });
    this.#options.beside.tell({ kind: "health", sandboxId, health });
  }

  /** The process lets go of the namespace soon. */
  delete({ sandboxId }: Sandbox): void {
    this.#ruled.delete(sandboxId);
    if (this.#known.delete(sandboxId)) this.#options.beside.tell({ kind: "delete", sandboxId });
  }

  async #sync(ask: Ask): Promise<void> {
    const sandboxIds = [...this.#known.keys()];
    await ask({ kind: "keep", sandboxIds, hostAddress: this.#options.hostAddress() });
    this.#ruled.clear();
    const off = { kind: "hostNames", listen: undefined, domain: "", names: {} };
    await ask(this.#hostNames === undefined ? off : { kind: "hostNames", ...this.#hostNames });
    for (const named of this.#known.values()) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- each takes a fraction of a millisecond
        await this.#lead(named, ask);
      } catch (error) {
        const { sandboxId } = named.sandbox;
        this.#options.logger.error("a container is without names", {
          sandbox: sandboxId,
          error: String(error),
        });
      }
    }
  }

  /** Sockets in the namespace, and rules that lead port 53 there. */
  async #lead(named: NamedSandbox, ask: Ask): Promise<void> {
    const { sandboxId, netnsPath } = named.sandbox;
    const ports = (await ask({ kind: "set", ...named })) as ResolverPorts | null;
    const ruled = this.#ruled.get(sandboxId);
    if (ports === null) return;
    if (ports.udpPort === ruled?.udpPort && ports.tcpPort === ruled.tcpPort) return;
    await this.#options.host.applyRulesetIn(
      netnsPath,
      renderDnsRules(ports.udpPort, ports.tcpPort),
    );
    if (this.#known.has(sandboxId)) this.#ruled.set(sandboxId, ports);
  }
}
