/** Writable layers: their directories and mounts. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname } from "node:path";
import { NaruError } from "#lib/errors.ts";
import type { MountKernel } from "#kernel/kernel.ts";
import type { Background } from "#snapshot/background.ts";
import { diskError, withDiskErrors } from "#snapshot/disk-error.ts";
import { type Layout, checkId } from "#snapshot/layout.ts";
import type { Layers, Stack } from "#snapshot/layers.ts";
import { mountOverlay } from "#snapshot/overlay.ts";
import { type Found, GROUNDED, NO_PARENT, PARENT_LINK } from "#snapshot/scan.ts";
import type { ActiveSnapshot, SnapshotPaths } from "#snapshot/snapshot.ts";
import type { Digest } from "#spec/image/digest.ts";

const EMPTY_ROOT = { mode: 0o755, uid: 0, gid: 0 };

/** Somebody may have unmounted it by hand. */
const isMountPoint = (path: string): boolean => statSync(path).dev !== statSync(dirname(path)).dev;

export class Actives {
  readonly #layout: Layout;
  readonly #kernel: MountKernel;
  readonly #background: Background;
  readonly #layers: Layers;
  readonly #actives = new Map<string, ActiveSnapshot>();
  readonly #mounted: Set<string>;
  readonly #ground: string;

  constructor(
    layout: Layout,
    kernel: MountKernel,
    background: Background,
    layers: Layers,
    found: Found,
    ground: string = layout.empty[0],
  ) {
    this.#layout = layout;
    this.#kernel = kernel;
    this.#background = background;
    this.#layers = layers;
    for (const active of found.actives) this.#actives.set(active.id, active);
    this.#mounted = new Set(found.mounted);
    this.#ground = ground;
  }

  get(id: string): ActiveSnapshot | undefined {
    return this.#actives.get(id);
  }

  all(): readonly ActiveSnapshot[] {
    return [...this.#actives.values()];
  }

  known(id: string): ActiveSnapshot {
    const active = this.#actives.get(id);
    if (active !== undefined) return active;
    throw new NaruError("not_found", `there is no writable layer "${id}"`);
  }

  isMounted(id: string): boolean {
    return this.#mounted.has(id);
  }

  prepare(id: string, parent: Digest | undefined, isGrounded: boolean): SnapshotPaths {
    const directory = this.#directory(checkId(id));
    const active = { id, parent, isGrounded };
    const lowers = this.#lowers(active);
    if (this.#actives.has(id)) {
      throw new NaruError("already_exists", `there is a writable layer "${id}" already`);
    }
    const root = parent === undefined ? EMPTY_ROOT : this.#layers.rootOf(parent);
    withDiskErrors(() => mkdirSync(directory, { mode: 0o711 }));
    try {
      const upper = `${directory}/upper`;
      mkdirSync(upper, { mode: root.mode & 0o777 });
      // The merged root shows the upper directory's mode and owner.
      if (root.uid !== 0 || root.gid !== 0) chownSync(upper, root.uid, root.gid);
      chmodSync(upper, root.mode);
      mkdirSync(`${directory}/work`, { mode: 0o700 });
      mkdirSync(`${directory}/merged`, { mode: 0o700 });
      const link = `${isGrounded ? GROUNDED : ""}${parent ?? NO_PARENT}`;
      symlinkSync(link, `${directory}/${PARENT_LINK}`);
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw diskError(error);
    }
    this.#actives.set(id, active);
    return this.#pathsOf(id, lowers);
  }

  paths(id: string): SnapshotPaths {
    return this.#pathsOf(id, this.#lowers(this.known(id)));
  }

  mount(id: string, isVolatile = false): string {
    const { merged } = this.paths(id);
    if (this.#mounted.has(id) && isMountPoint(merged)) return merged;
    this.mountInNamespace(id, isVolatile);
    this.#mounted.add(id);
    return merged;
  }

  mountInNamespace(id: string, isVolatile = false): string {
    const { upper, work, merged } = this.paths(id);
    const { lowers, isMixed } = this.stack(id);
    const writable = { upper, work };
    // The kernel's mark of a volatile mount stays behind, and it refuses to mount where it finds one.
    const mark = `${work}/work/incompat`;
    if (existsSync(mark)) rmSync(mark, { recursive: true });
    mountOverlay(this.#kernel, { target: merged, lowers, isMixed, isVolatile, writable });
    return merged;
  }

  /** What is below it, never empty. */
  stack(id: string): Stack {
    const active = this.known(id);
    const { lowers, isMixed } = this.#layers.stack(active.parent);
    return { lowers: this.#withGround(active, lowers), isMixed };
  }

  unmount(id: string): void {
    if (!this.#mounted.has(id)) return;
    this.#kernel.unmount(`${this.#directory(id)}/merged`);
    this.#mounted.delete(id);
  }

  remove(id: string): void {
    if (!this.#actives.has(id)) return;
    this.unmount(id);
    this.#background.discard(this.#directory(id));
    this.#actives.delete(id);
  }

  /** Moves the upper directory to `target`; the rest of the snapshot is removed. */
  surrender(id: string, target: string): void {
    this.known(id);
    this.unmount(id);
    renameSync(`${this.#directory(id)}/upper`, target);
    this.remove(id);
  }

  #lowers(active: ActiveSnapshot): readonly string[] {
    return this.#withGround(active, this.#layers.lowers(active.parent));
  }

  #withGround({ isGrounded }: ActiveSnapshot, lowers: readonly string[]): readonly string[] {
    if (isGrounded === true) return [...lowers, this.#ground];
    return lowers.length > 0 ? lowers : [this.#layout.empty[0]];
  }

  #pathsOf(id: string, lowers: readonly string[]): SnapshotPaths {
    const directory = this.#directory(id);
    return {
      upper: `${directory}/upper`,
      work: `${directory}/work`,
      merged: `${directory}/merged`,
      lowers,
    };
  }

  #directory(id: string): string {
    return `${this.#layout.active}/${id}`;
  }
}
