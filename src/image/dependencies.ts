/** What this room is handed by the daemon, each part as narrow as it is needed here. */
import type { Content } from "#content/content.ts";
import type { ImageEvent, ImageUsers } from "#image/image.ts";
import type { Logger } from "#lib/log.ts";
import type { RemoteConfig } from "#remote/remote.ts";
import type { ImageRows } from "#metadata/images.ts";
import type { Leases } from "#metadata/leases.ts";
import type { TrashRows } from "#metadata/trash.ts";
import type { Snapshots } from "#snapshot/snapshot.ts";
import type { Trust } from "#trust/trust.ts";

export type LayerStore = Pick<
  Snapshots,
  | "layer"
  | "layers"
  | "layerPath"
  | "newLayers"
  | "layerTar"
  | "verifyLayer"
  | "unpack"
  | "adopt"
  | "removeLayer"
  | "idle"
>;

export interface RegistryOptions {
  readonly remote: RemoteConfig;
  readonly maxDownloads: number;
  readonly maxUploads: number;
}

export interface ImageDependencies {
  readonly rows: ImageRows;
  readonly trash: TrashRows;
  readonly leases: Leases;
  readonly content: Content;
  readonly layers: LayerStore;
  readonly users: ImageUsers;
  /** Called after commit. */
  readonly publish: (event: ImageEvent) => void;
  readonly log: Logger;
  /** argv that starts `runImageWorker`, such as [naru, "_worker", "image"]; the verb and its arguments follow. */
  readonly workerCommand: readonly string[];
  readonly registries: RegistryOptions;
  readonly trust: Trust;
}
