/**
 * All containers in memory, the rows on disk behind them. `put` is the only way a record changes:
 * the row is committed first, then the new value is swapped in, so a crash between the two leaves
 * the disk ahead of memory, never behind what was acknowledged.
 */
import { NaruError } from "#lib/errors.ts";
import type { ContainerRows } from "#metadata/containers.ts";
import type { ContainerRecord } from "#container/container.ts";

const MIN_PREFIX = 1;

export class ContainerStates {
  readonly #rows: ContainerRows;
  readonly #byId = new Map<string, ContainerRecord>();
  readonly #idByName = new Map<string, string>();
  readonly #reservedNames = new Map<string, string>();
  #newestFirst: readonly ContainerRecord[] | undefined;

  constructor(rows: ContainerRows) {
    this.#rows = rows;
    for (const row of rows.all()) this.#remember(JSON.parse(row.record) as ContainerRecord);
  }

  list(): readonly ContainerRecord[] {
    this.#newestFirst ??= [...this.#byId.values()].toSorted((a, b) =>
      a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : a.id < b.id ? 1 : -1,
    );
    return this.#newestFirst;
  }

  /** undefined when it was removed meanwhile. */
  find(id: string): ContainerRecord | undefined {
    return this.#byId.get(id);
  }

  byName(name: string): ContainerRecord | undefined {
    const id = this.#idByName.get(name);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** Full id, name (with or without slash), then unique id prefix: Docker's order. */
  get(container: string): ContainerRecord {
    const exact = this.#byId.get(container) ?? this.byName(container.replace(/^\//, ""));
    if (exact !== undefined) return exact;
    if (container.length >= MIN_PREFIX && /^[0-9a-f]+$/.test(container)) {
      const matches = [...this.#byId.keys()].filter((id) => id.startsWith(container));
      if (matches.length > 1) {
        throw new NaruError(
          "invalid_argument",
          `Multiple IDs found with provided prefix: ${container}`,
        );
      }
      const match = this.#byId.get(matches[0] ?? "");
      if (match !== undefined) return match;
    }
    const linked = this.#byLink(container);
    if (linked !== undefined) return linked;
    throw new NaruError("not_found", `No such container: ${container}`);
  }

  /** "web/db": what "web" links to under the name "db". */
  #byLink(path: string): ContainerRecord | undefined {
    const [name = "", alias, ...more] = path.replace(/^\//, "").split("/");
    if (alias === undefined || more.length > 0) return undefined;
    const link = this.byName(name)?.links?.find((one) => one.alias === alias);
    return link === undefined ? undefined : this.#byId.get(link.containerId);
  }

  put(record: ContainerRecord): ContainerRecord {
    this.#rows.put({ id: record.id, name: record.name, record: JSON.stringify(record) });
    return this.#remember(record);
  }

  delete(id: string): void {
    this.#rows.delete(id);
    const record = this.#byId.get(id);
    this.#byId.delete(id);
    if (record !== undefined) this.#idByName.delete(record.name);
    this.#newestFirst = undefined;
  }

  /** Holds `name` for a create or rename under way; already_exists when it is taken. */
  reserveName(name: string, id: string): Disposable {
    const holder = this.#idByName.get(name) ?? this.#reservedNames.get(name);
    if (holder !== undefined) {
      throw new NaruError(
        "already_exists",
        `Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    }
    this.#reservedNames.set(name, id);
    return { [Symbol.dispose]: () => void this.#reservedNames.delete(name) };
  }

  #remember(record: ContainerRecord): ContainerRecord {
    const previous = this.#byId.get(record.id);
    if (previous !== undefined && previous.name !== record.name)
      this.#idByName.delete(previous.name);
    this.#byId.set(record.id, record);
    this.#idByName.set(record.name, record.id);
    this.#newestFirst = undefined;
    return record;
  }
}
