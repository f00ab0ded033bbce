/** A store of one test in a temporary root; leaves no mount behind. */
import { silentLogger } from "#lib/log.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { createKernel } from "#kernel/real.ts";
import type { LayerForm } from "#snapshot/layer-form.ts";
import type { Layer, Snapshots } from "#snapshot/snapshot.ts";
import { openSnapshots } from "#snapshot/store.ts";
import { type TarInput, tarOf, temporary } from "#snapshot/tar-fixture.fake.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

export const WORKER: readonly string[] = [
  process.execPath,
  new URL("worker-entry.fake.ts", import.meta.url).pathname,
];

export interface TestStore extends AsyncDisposable {
  readonly root: string;
  readonly directory: string;
  readonly kernel: Kernel;
  /** Forgets the open store and opens the directory again, as a new daemon would. */
  reopen(): Snapshots;
  readonly store: Snapshots;
  /** Unpacks a stack of layers, lowest first; answers the topmost. */
  stack(...layers: readonly (readonly TarInput[])[]): Promise<Digest>;
}

/** Both: what a store promises does not depend on it. */
export const FORMS: readonly LayerForm[] = ["directory", "erofs"];

export const testStore = (layerForm?: LayerForm): TestStore => {
  const dir = temporary();
  const kernel = createKernel();
  const root = `${dir.path}/snapshots`;
  const open = (): Snapshots =>
    openSnapshots({ root, kernel, workerCommand: WORKER, log: silentLogger, layerForm });
  let store = open();
  return {
    root,
    directory: dir.path,
    kernel,
    get store() {
      return store;
    },
    reopen: () => (store = open()),
    stack: async (...layers) => {
      let top: Layer | undefined;
      for (const entries of layers) {
        const tar = tarOf(...entries);
        const path = `${dir.path}/layer.tar`;
        await Bun.write(path, tar);
        const diffId = digestOf(tar);
        top = await store.unpack({ parent: top?.chainId, source: { path }, diffId });
      }
      if (top === undefined) throw new Error("a stack has a layer");
      return top.chainId;
    },
    [Symbol.asyncDispose]: async () => {
      for (const mount of kernel.mountsUnder(dir.path)) kernel.unmount(mount);
      await store.idle();
      dir[Symbol.dispose]();
    },
  };
};
