/** Names for sandboxes: the resolver, loaded with the first sandbox that can have some. */
import type { Logger } from "#lib/log.ts";
import type { RestoreEntry, Sandbox } from "#network/network.ts";
import type { Resolver, ResolverOptions } from "#network/resolver.ts";

export const hasNames = ({ endpoints }: Sandbox): boolean =>
  endpoints.some((endpoint) => endpoint.names.length > 0);

export class Names {
  readonly #options: ResolverOptions;
  readonly #logger: Logger;
  #resolver: Resolver | undefined;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#logger = options.logger;
  }

  /** The sandbox as it is from now on. Resolves when its resolver answers. */
  async set(sandbox: Sandbox): Promise<void> {
    if (this.#resolver === undefined && !hasNames(sandbox)) return;
    const { Resolver: Made } = await import("#network/resolver.ts");
    this.#resolver ??= new Made(this.#options);
    await this.#resolver.set(sandbox);
  }

  /** After a restart: whoever asks meanwhile asks again. A failure is told; the container runs on. */
  async setAgain(entries: readonly RestoreEntry[]): Promise<void> {
    for (const { containerName, sandbox } of entries) {
      if (!hasNames(sandbox)) continue;
      try {
        // oxlint-disable-next-line no-await-in-loop -- each takes a fraction of a millisecond
        await this.set(sandbox);
      } catch (error) {
        const text = { container: containerName, error: String(error) };
        this.#logger.error("a container is without names", text);
      }
    }
  }

  rename(sandbox: Sandbox): void {
    this.#resolver?.rename(sandbox);
  }

  delete(sandbox: Sandbox): void {
    this.#resolver?.delete(sandbox);
  }

  close(): void {
    this.#resolver?.close();
  }
}
