/** Manifests that were asked for lately, by repository and reference, within a bound of bytes. */
import type { Manifest } from "#registry/registry.ts";

/** What an entry costs beside its content. */
const ENTRY_BYTES = 512;

export class ManifestCache {
  readonly #limitBytes: number;
  /** In order of use, oldest first. */
  readonly #entries = new Map<string, Manifest>();
  #sizeBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get(repository: string, reference: string): Manifest | undefined {
    return this.#entries.get(`${repository}\0${reference}`);
  }

  /** The value that is kept for this digest already is kept for the new reference as well. */
  put(repository: string, reference: string, manifest: Manifest): Manifest {
    const kept = this.get(repository, manifest.digest) ?? manifest;
    for (const key of new Set([reference, manifest.digest])) {
      this.#delete(`${repository}\0${key}`);
      this.#entries.set(`${repository}\0${key}`, kept);
      this.#sizeBytes += kept.content.length + ENTRY_BYTES;
    }
    for (const key of this.#entries.keys()) {
      if (this.#sizeBytes <= this.#limitBytes) break;
      this.#delete(key);
    }
    return kept;
  }

  drop(repository: string, reference: string): void {
    this.#delete(`${repository}\0${reference}`);
  }

  #delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#sizeBytes -= entry.content.length + ENTRY_BYTES;
  }
}
