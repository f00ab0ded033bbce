/** For tests: the room on a temporary root, with layers that are only remembered, or the real ones. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Content } from "#content/content.ts";
import { openContent } from "#content/store.ts";
import { type Database, type SqlValue, openDatabase } from "#database/database.ts";
import type { ImageDependencies, LayerStore } from "#image/dependencies.ts";
import type { ImageEvent, Images } from "#image/image.ts";
import { createImages } from "#image/images.ts";
import { NaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";
import { TEST_CONFIG } from "#remote/registry.fake.ts";
import type { RemoteConfig } from "#remote/remote.ts";
import { IMAGE_MIGRATIONS, createImageRows } from "#metadata/images.ts";
import { LEASE_MIGRATIONS, createLeases } from "#metadata/leases.ts";
import { TRASH_MIGRATIONS, createTrashRows } from "#metadata/trash.ts";
import type { Layer } from "#snapshot/snapshot.ts";
import { openTrust } from "#trust/store.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

/** Checks sums as the real store does, unpacks nothing. */
export const createFakeLayers = (): LayerStore & { readonly removed: Digest[] } => {
  const layers = new Map<Digest, Layer>();
  const removed: Digest[] = [];
  return {
    removed,
    layer: (chainId) => layers.get(chainId),
    layers: () => [...layers.values()],
    newLayers: () => ({ form: "directory", reason: "a fake" }),
    layerPath: (chainId) => `/layers/${chainId}`,
    verifyLayer: async () => "good",
    layerTar: async (chainId) => {
      throw new NaruError("data_loss", `only remembered: "${chainId}"`);
    },
    unpack: async ({ parent, source, diffId }) => {
      const bytes =
        "path" in source
          ? await Bun.file(source.path).bytes()
          : await new Response(source.stream).bytes();
      const plain = bytes[0] === 0x1f ? Bun.gunzipSync(bytes.slice()) : bytes;
      const sum = digestOf(plain);
      if (diffId !== undefined && diffId !== sum) {
        throw new NaruError("data_loss", `the layer's content has the sum "${sum}"`);
      }
      const chainId = parent === undefined ? sum : digestOf(`${parent} ${sum}`);
      const layer: Layer = {
        chainId,
        parent,
        diffId: sum,
        sizeBytes: plain.length,
        isOpaque: false,
        form: "directory",
      };
      layers.set(chainId, layer);
      return layer;
    },
    adopt: ({ parent, diffId, sizeBytes, isOpaque, form }) => {
      const chainId = parent === undefined ? diffId : digestOf(`${parent} ${diffId}`);
      const layer = { chainId, parent, diffId, sizeBytes, isOpaque, form };
      layers.set(chainId, layer);
      return layer;
    },
    removeLayer: (chainId) => {
      if ([...layers.values()].some((layer) => layer.parent === chainId)) {
        throw new NaruError("failed_precondition", "a layer stands on it");
      }
      if (layers.delete(chainId)) removed.push(chainId);
    },
    idle: async () => undefined,
  };
};

export interface FakeImages extends Disposable {
  readonly root: string;
  readonly images: Images;
  readonly content: Content;
  readonly dependencies: ImageDependencies;
  readonly events: ImageEvent[];
  readonly containers: Map<Digest, { id: string; isRunning: boolean }[]>;
  /** How often rows of images were read so far. */
  reads(): number;
  /** An image of one layer per name in `layers`, without any tar. */
  add(name: string, options?: AddOptions): Promise<Digest>;
}

export interface AddOptions {
  readonly layers?: readonly string[];
  readonly references?: readonly string[];
  readonly parent?: Digest;
  readonly labels?: Record<string, string>;
  readonly created?: string;
}

/** The same database, and how often it was read. */
const counted = (
  database: Database,
): { readonly database: Database; readonly reads: () => number } => {
  let reads = 0;
  return {
    database: {
      ...database,
      all: <R>(sql: string, ...values: SqlValue[]) => {
        reads += 1;
        return database.all<R>(sql, ...values);
      },
      get: <R>(sql: string, ...values: SqlValue[]) => {
        reads += 1;
        return database.get<R>(sql, ...values);
      },
    },
    reads: () => reads,
  };
};

const MIGRATIONS = [...IMAGE_MIGRATIONS, ...LEASE_MIGRATIONS, ...TRASH_MIGRATIONS];
const WORKER = new URL("worker.fake.ts", import.meta.url).pathname;

const usersOf = (
  containers: ReadonlyMap<Digest, readonly { id: string; isRunning: boolean }[]>,
): ImageDependencies["users"] => ({
  containersOf: (id) => containers.get(id) ?? [],
  containerCounts: () => new Map([...containers].map(([id, all]) => [id, all.length])),
  isLayerHeld: () => false,
});

/** `layers`: a store under the root, undefined = the fake one. */
export const createFakeImages = (
  makeLayers?: (root: string) => LayerStore,
  workerCommand: readonly string[] = [process.execPath, WORKER],
  remote: RemoteConfig = TEST_CONFIG,
): FakeImages => {
  const root = mkdtempSync(join(tmpdir(), "naru-image-"));
  mkdirSync(join(root, "snapshots"));
  const database = openDatabase(":memory:", MIGRATIONS);
  const content = openContent(join(root, "content"));
  const events: ImageEvent[] = [];
  const containers = new Map<Digest, { id: string; isRunning: boolean }[]>();
  const { database: read, reads } = counted(database);
  const dependencies: ImageDependencies = {
    rows: createImageRows(read),
    trash: createTrashRows(database, false),
    leases: createLeases(database),
    content,
    layers: makeLayers?.(join(root, "snapshots")) ?? createFakeLayers(),
    users: usersOf(containers),
    publish: (event) => events.push(event),
    log: silentLogger,
    workerCommand,
    registries: { maxDownloads: 3, maxUploads: 3, remote },
    trust: openTrust(join(root, "trust.json"), false, join(root, "trust")),
  };
  const images = createImages(dependencies);
  const add = async (name: string, options: AddOptions = {}): Promise<Digest> => {
    const tars = (options.layers ?? [name]).map((layer) => content.write(`tar of ${layer}`));
    const diffIds = tars.map((tar) => tar.digest);
    const chain = chainIds(diffIds);
    for (const [index, { path }] of tars.entries()) {
      await dependencies.layers.unpack({ parent: chain[index - 1], source: { path } });
    }
    return images.register(
      {
        configText: JSON.stringify({
          created: options.created ?? "2026-01-01T00:00:00Z",
          author: name,
          architecture: "amd64",
          os: "linux",
          config: { Labels: options.labels ?? {} },
          rootfs: { type: "layers", diff_ids: diffIds },
          history: diffIds.map((_, index) => ({ created_by: `step ${index}` })),
        }),
        layers: tars.map(({ digest, sizeBytes }) => ({
          diffId: digest,
          sizeBytes,
          blobs: [{ digest, sizeBytes, mediaType: "application/vnd.oci.image.layer.v1.tar" }],
        })),
        ...(options.parent === undefined ? {} : { parent: options.parent }),
      },
      options.references ?? [],
    );
  };
  return {
    root,
    images,
    content,
    dependencies,
    events,
    containers,
    reads,
    add,
    [Symbol.dispose]: () => {
      database.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
};

/** The message of the error that `work` rejects with. */
export const failureOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "it did not fail",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
