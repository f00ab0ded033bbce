/** Mounts of trees for who looks at them for a while, each at a place of its own; swept when the store is opened. */
import { mkdirSync, rmSync, rmdirSync } from "node:fs";
import { randomHex } from "#lib/clock.ts";
import type { MountKernel } from "#kernel/kernel.ts";
import type { Actives } from "#snapshot/actives.ts";
import type { Layout } from "#snapshot/layout.ts";
import type { Stack } from "#snapshot/layers.ts";
import { type OverlayMount, mountOverlay } from "#snapshot/overlay.ts";
import type { View } from "#snapshot/snapshot.ts";
import type { Digest } from "#spec/image/digest.ts";

export class Views {
  readonly #layout: Layout;
  readonly #kernel: MountKernel;
  readonly #actives: Actives;
  /** Mount point to the chain it shows. */
  readonly #mounted = new Map<string, Digest | undefined>();

  constructor(layout: Layout, kernel: MountKernel, actives: Actives) {
    this.#layout = layout;
    this.#kernel = kernel;
    this.#actives = actives;
  }

  /** The mount point of a view that stands on the layer. */
  on(chainId: Digest): string | undefined {
    return [...this.#mounted].find(([, shown]) => shown === chainId)?.[0];
  }

  of(
    { lowers, isMixed }: Stack,
    chainId: Digest | undefined,
    writable?: NonNullable<OverlayMount["writable"]>,
  ): View {
    const path = `${this.#layout.views}/${randomHex(8)}`;
    mkdirSync(path, { mode: 0o700 });
    // Without an upper directory overlay wants two lower ones, and whiteouts need overlay.
    const least = writable === undefined ? 2 : 1;
    const missing = this.#layout.empty.slice(0, Math.max(0, least - lowers.length));
    const mount = { target: path, lowers: [...lowers, ...missing], isMixed };
    try {
      mountOverlay(this.#kernel, writable === undefined ? mount : { ...mount, writable });
    } catch (error) {
      rmdirSync(path);
      throw error;
    }
    this.#mounted.set(path, chainId);
    const dispose = (): void => {
      if (!this.#mounted.delete(path)) return;
      this.#kernel.unmount(path);
      rmdirSync(path);
    };
    return { path, [Symbol.dispose]: dispose };
  }

  ofActive(id: string): View {
    const { upper } = this.#actives.paths(id);
    // A mount empties its working directory: with the snapshot's own, files could no longer be copied up elsewhere.
    const work = `${this.#layout.views}/${randomHex(8)}`;
    mkdirSync(work, { mode: 0o700 });
    const clear = (): void => rmSync(work, { recursive: true, force: true });
    try {
      const { parent } = this.#actives.known(id);
      const view = this.of(this.#actives.stack(id), parent, { upper, work });
      const dispose = (): void => {
        view[Symbol.dispose]();
        clear();
      };
      return { path: view.path, [Symbol.dispose]: dispose };
    } catch (error) {
      clear();
      throw error;
    }
  }
}
