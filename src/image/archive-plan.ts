/** The entries of an archive that is about to be sent: headers in memory, files by their ranges. */
import type { ArchiveSegment } from "#image/archive-segment.ts";
import { type TarEntry, plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";
import { type Digest, algorithmOf, hexOf } from "#spec/image/digest.ts";

export class ArchivePlan {
  readonly segments: ArchiveSegment[] = [];
  readonly #written = new Set<string>();
  #pending: Uint8Array[] = [];
  sizeBytes = 0;

  #bytes(...parts: Uint8Array[]): void {
    for (const part of parts) {
      this.#pending.push(part);
      this.sizeBytes += part.length;
    }
  }

  #flush(): void {
    if (this.#pending.length > 0) this.segments.push({ bytes: Buffer.concat(this.#pending) });
    this.#pending = [];
  }

  #header(name: string, type: TarEntry["type"], size: number): void {
    const mode = type === "directory" ? 0o755 : 0o444;
    this.#bytes(tarHeader(plainEntry(name, { type, mode, size })));
  }

  directory(name: string): void {
    this.#header(`${name}/`, "directory", 0);
  }

  /** Once per name. */
  document(name: string, text: string | Uint8Array): void {
    if (this.#written.has(name)) return;
    this.#written.add(name);
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    this.#header(name, "file", bytes.length);
    this.#bytes(bytes, tarPadding(bytes.length));
  }

  file(name: string, path: string, sizeBytes: number): void {
    if (this.#written.has(name)) return;
    this.#written.add(name);
    this.#header(name, "file", sizeBytes);
    this.#flush();
    this.segments.push({ path, start: 0, end: sizeBytes });
    this.sizeBytes += sizeBytes;
    this.#bytes(tarPadding(sizeBytes));
  }

  end(): void {
    this.#bytes(TAR_END);
    this.#flush();
  }
}

/** image-spec 1.1 image-layout.md. */
export const blobName = (digest: Digest): string => `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
