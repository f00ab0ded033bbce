/** The volumes themselves: directories, rows, who uses them. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename } from "node:path";
import { now, randomHex } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import type { Logger } from "#lib/log.ts";
import type { MountKernel } from "#kernel/kernel.ts";
import type { QuotaKernel } from "#kernel/project-quota.ts";
import type { TrashRow, TrashRows } from "#metadata/trash.ts";
import type { VolumeRows } from "#metadata/volumes.ts";
import type { VolumeCreateRequest } from "#spec/docker/volume.ts";
import { sizeLimit, validateLocalOptions } from "#volume/local-options.ts";
import { ANONYMOUS_LABEL, type VolumeEvent, type VolumeRecord } from "#volume/volume.ts";

export interface VolumeStoreOptions {
  /** `<dataRoot>/volumes` */
  readonly root: string;
  readonly rows: VolumeRows;
  readonly kernel: MountKernel;
  readonly quotas: QuotaKernel;
  readonly publish: (event: VolumeEvent) => void;
  readonly logger: Logger;
  readonly trash: TrashRows;
}

const TRASH = ".trash";
/** Removed volumes that can be brought back, each under the key of its row in the trash. */
const KEPT = ".removed";
/** Volumes that are being copied or unpacked; swept with everything that has no row. */
const INGEST = ".ingest";

const checkName = (name: string): void => {
  if (name.length === 1) {
    throw new NaruError(
      "invalid_argument",
      "volume name is too short, names should be at least two alphanumeric characters",
    );
  }
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) && name.length <= 255) return;
  throw new NaruError(
    "invalid_argument",
    `"${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );
};

export class VolumeStore {
  readonly #options: VolumeStoreOptions;
  readonly #records = new Map<string, VolumeRecord>();
  readonly #users = new Map<string, Set<string>>();

  constructor(options: VolumeStoreOptions) {
    this.#options = options;
    for (const row of options.rows.all()) {
      this.#records.set(row.name, JSON.parse(row.record) as VolumeRecord);
    }
  }

  /** Directories without a row are half-made or half-removed: they go. A rename cut short is finished. */
  async sweep(): Promise<void> {
    const { root, trash } = this.#options;
    for (const record of this.#records.values()) {
      if (record.movedFrom !== undefined) this.#finishMove(record);
    }
    const kept = trash.all("volume");
    for (const { name, key } of kept) if (!this.#records.has(name)) this.#keep(name, key);
    mkdirSync(`${root}/${TRASH}`, { recursive: true, mode: 0o701 });
    const wanted = new Set([...this.#records.keys(), ...kept.map(({ key }) => `${KEPT}/${key}`)]);
    for (const place of this.#places()) if (!wanted.has(place)) this.#throwAway(place);
    await this.#emptyTrash();
  }

  list(): readonly VolumeRecord[] {
    return [...this.#records.values()];
  }

  find(name: string): VolumeRecord | undefined {
    return this.#records.get(name);
  }

  get(name: string): VolumeRecord {
    const record = this.#records.get(name);
    if (record !== undefined) return record;
    throw new NaruError("not_found", `get ${name}: no such volume`);
  }

  mountpoint(name: string): string {
    return `${this.#options.root}/${name}/_data`;
  }

  /** Throws already_exists. */
  assertFree(name: string): void {
    if (!this.#records.has(name)) return;
    throw new NaruError("already_exists", `volume "${name}" exists already: choose another name`);
  }

  /** Throws invalid_argument for a name no volume can have. */
  checkName(name: string): void {
    checkName(name);
  }

  /**
   * An empty directory for a volume to come; `create` takes it over, disposing removes what is left. `options`: those
   * of the volume to come, which may limit its size.
   */
  ingest(
    options: Readonly<Record<string, string>> = {},
  ): Disposable & { readonly directory: string } {
    const place = `${INGEST}/${randomHex(8)}`;
    const directory = `${this.#options.root}/${place}/_data`;
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    this.#limit(directory, options);
    return {
      directory,
      [Symbol.dispose]: () => {
        this.#throwAway(place);
        this.#deleteLater(place);
      },
    };
  }

  /** The name must be free and nobody may use the volume: the caller has looked. */
  rename(name: string, newName: string): VolumeRecord {
    const { movedFrom: _none, ...record } = { ...this.get(name), name: newName };
    const moved: VolumeRecord = { ...record, movedFrom: name };
    this.#options.rows.replace(name, { name: newName, record: JSON.stringify(moved) });
    this.#records.delete(name);
    this.#records.set(newName, moved);
    failpoint("volume-rename.after-row");
    return this.#finishMove(moved);
  }

  /** A name that exists answers with what exists. `ingested`: the directory that becomes the volume's. */
  create(request: VolumeCreateRequest, ingested?: string): VolumeRecord {
    const isAnonymous = (request.Name ?? "") === "";
    const name = request.Name || randomHex(32);
    const existing = this.#records.get(name);
    if (existing !== undefined) return existing;
    try {
      this.#check(name, request);
    } catch (thrown) {
      const error = toNaruError(thrown);
      throw new NaruError(error.code, `create ${name}: ${error.message}`, { cause: error });
    }
    const labels = { ...request.Labels, ...(isAnonymous ? { [ANONYMOUS_LABEL]: "" } : {}) };
    const options = { ...request.DriverOpts };
    const record: VolumeRecord = { name, createdAt: now(), labels, options, isAnonymous };
    if (ingested === undefined) {
      this.#makeDirectory(name, options);
    } else {
      mkdirSync(`${this.#options.root}/${name}`, { recursive: true, mode: 0o755 });
      renameSync(ingested, this.mountpoint(name));
    }
    failpoint("volume.after-directory");
    this.#options.rows.put({ name, record: JSON.stringify(record) });
    this.#records.set(name, record);
    this.#emit("create", record);
    return record;
  }

  /**
   * Throws conflict while in use; what is not there is no error with `force`. With `batch` it can be brought
   * back, where the trash is on.
   */
  remove(name: string, options: { readonly force: boolean; readonly batch?: string }): void {
    const record = this.#records.get(name);
    if (record === undefined) {
      if (options.force) return;
      throw new NaruError("not_found", `get ${name}: no such volume`);
    }
    const users = this.usersOf(name);
    if (users.length > 0) {
      throw new NaruError("conflict", `remove ${name}: volume is in use - [${users.join(", ")}]`, {
        details: { users },
      });
    }
    const { rows, trash } = this.#options;
    if (options.batch === undefined || !trash.isOn) {
      rows.delete(name);
      this.#records.delete(name);
      this.#throwAway(name);
      this.#deleteLater(name);
    } else {
      const row = { batch: options.batch, kind: "volume", key: randomHex(8), name } as const;
      trash.transaction(() => {
        trash.put({ ...row, record: JSON.stringify(record) });
        rows.delete(name);
      });
      this.#records.delete(name);
      failpoint("volume-remove.after-row");
      this.#keep(name, row.key);
    }
    this.#emit("destroy", record);
  }

  /** The directory of a removed volume. */
  keptAt(key: string): string {
    return `${this.#options.root}/${KEPT}/${key}`;
  }

  /** Throws already_exists. */
  bringBack(row: TrashRow): void {
    const { rows, trash } = this.#options;
    this.assertFree(row.name);
    const record = { ...(JSON.parse(row.record) as VolumeRecord), movedFrom: `${KEPT}/${row.key}` };
    trash.transaction(() => {
      rows.put({ name: row.name, record: JSON.stringify(record) });
      trash.delete(row.id);
    });
    this.#records.set(row.name, record);
    failpoint("volume-undo.after-row");
    this.#finishMove(record);
    this.#emit("create", record);
  }

  /** A removed volume goes for good. Idempotent. */
  purge(row: TrashRow): void {
    this.#options.trash.delete(row.id);
    this.#throwAway(`${KEPT}/${row.key}`);
    this.#deleteLater(row.name);
  }

  use(name: string, containerId: string): void {
    const users = this.#users.get(name) ?? new Set();
    this.#users.set(name, users.add(containerId));
  }

  unuse(name: string, containerId: string): void {
    const users = this.#users.get(name);
    users?.delete(containerId);
    if (users?.size === 0) this.#users.delete(name);
  }

  usersOf(name: string): readonly string[] {
    return [...(this.#users.get(name) ?? [])];
  }

  /** All volumes go, in use or not. */
  async clear(): Promise<void> {
    for (const name of this.#records.keys()) {
      this.#options.rows.delete(name);
      this.#records.delete(name);
    }
    this.#users.clear();
    if (!existsSync(this.#options.root)) return;
    for (const place of this.#places()) this.#throwAway(place);
    await this.#emptyTrash();
  }

  #check(name: string, request: VolumeCreateRequest): void {
    const driver = request.Driver || "local";
    if (driver !== "local") {
      throw new NaruError(
        "not_found",
        `error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      );
    }
    checkName(name);
    validateLocalOptions(request.DriverOpts ?? {});
  }

  #makeDirectory(name: string, options: Readonly<Record<string, string>>): void {
    mkdirSync(this.mountpoint(name), { recursive: true, mode: 0o755 });
    try {
      this.#limit(this.mountpoint(name), options);
    } catch (thrown) {
      rmSync(`${this.#options.root}/${name}`, { recursive: true });
      const error = toNaruError(thrown);
      throw new NaruError(error.code, `create ${name}: ${error.message}`, { cause: error });
    }
  }

  /** Before anything is in the directory: only what is made in it later is counted. */
  #limit(directory: string, options: Readonly<Record<string, string>>): void {
    const sizeBytes = sizeLimit(options);
    if (sizeBytes === undefined) return;
    try {
      this.#options.quotas.limitTree(directory, sizeBytes);
    } catch (thrown) {
      const error = toNaruError(thrown);
      if (error.code !== "not_implemented") throw error;
      const message = `quota size requested but no quota support: ${error.message}; or limit a volume in memory: type=tmpfs with o=size=…`;
      throw new NaruError("invalid_argument", message, { cause: error });
    }
  }

  /** Volumes' directories below the root, by whatever they are there. */
  #places(): string[] {
    const { root } = this.#options;
    return readdirSync(root).flatMap((name) => {
      if (name === TRASH) return [];
      const holdsSeveral = name === KEPT || name === INGEST;
      return holdsSeveral ? readdirSync(`${root}/${name}`).map((one) => `${name}/${one}`) : [name];
    });
  }

  /** Out of sight, but not deleted. What is mounted inside is unmounted. Done already is no error. */
  #keep(name: string, key: string): void {
    const { root, kernel } = this.#options;
    const path = `${root}/${name}`;
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
    for (const mount of kernel.mountsUnder(path)) kernel.unmount(mount);
    mkdirSync(`${root}/${KEPT}`, { recursive: true, mode: 0o701 });
    renameSync(path, this.keptAt(key));
  }

  /** The row says where the directory has to be; this brings it there. */
  #finishMove(record: VolumeRecord): VolumeRecord {
    const { root, rows } = this.#options;
    const { movedFrom, ...settled } = record;
    const target = `${root}/${record.name}`;
    if (movedFrom !== undefined && !existsSync(target) && !this.#records.has(movedFrom)) {
      renameSync(`${root}/${movedFrom}`, target);
      failpoint("volume-rename.after-directory");
    }
    rows.put({ name: settled.name, record: JSON.stringify(settled) });
    this.#records.set(settled.name, settled);
    return settled;
  }

  #deleteLater(name: string): void {
    this.#emptyTrash().catch((error: unknown) =>
      this.#options.logger.warn("a removed volume's files could not be deleted yet", {
        volume: name,
        error: String(error),
      }),
    );
  }

  /** Out of sight at once; deleted by `#emptyTrash`. What is mounted inside is unmounted, not deleted. */
  #throwAway(name: string): void {
    const { root, kernel, quotas } = this.#options;
    const path = `${root}/${name}`;
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
    for (const mount of kernel.mountsUnder(path)) kernel.unmount(mount);
    if (existsSync(`${path}/_data`)) quotas.unlimitTree(`${path}/_data`);
    mkdirSync(`${root}/${TRASH}`, { recursive: true, mode: 0o701 });
    renameSync(path, `${root}/${TRASH}/${basename(name)}.${randomHex(4)}`);
  }

  async #emptyTrash(): Promise<void> {
    const trash = `${this.#options.root}/${TRASH}`;
    for (const name of readdirSync(trash)) {
      // oxlint-disable-next-line no-await-in-loop -- one tree after the other keeps it gentle
      await rm(`${trash}/${name}`, { recursive: true, force: true });
    }
  }

  #emit(action: "create" | "destroy", record: VolumeRecord): void {
    this.#options.publish({
      Type: "volume",
      Action: action,
      Actor: { ID: record.name, Attributes: { driver: "local" } },
    });
  }
}
