/** Everything the distribution API calls; `daemon/` composes it. */
import type { Logger } from "#lib/log.ts";
import type { FileSender } from "#kernel/send-file.ts";
import type { Access } from "#registry/access/access.ts";
import type { RegistryObserver } from "#registry/observer.ts";
import type { Registry } from "#registry/registry.ts";
import type { Patience } from "#api/distribution/patience.ts";
import type { Exchange } from "#api/http/exchange.ts";

/** Paths outside of /v2/: health, metrics, tokens. Returns undefined when the path is not its own. */
export type ExtraHandler = (exchange: Exchange) => void | Promise<void> | undefined;

export interface DistributionBackend {
  readonly registry: Registry;
  readonly access: Access;
  readonly observer: RegistryObserver;
  readonly patience: Patience;
  /** Without it all bytes of blobs go through this process. */
  readonly fileSender: FileSender | undefined;
  /** By exact path. */
  readonly extras: ReadonlyMap<string, ExtraHandler>;
  readonly logger: Logger;
}
