/** A file that is still being written: how much of it is there, for those who read along. */
export interface Growth {
  /** Resolves with the bytes that are there once that is more than `offset`; throws when no more will come. */
  wait(offset: number): Promise<number>;
}

export class GrowingFile implements Growth {
  #sizeBytes = 0;
  #failure: unknown;
  #wake = Promise.withResolvers<void>();

  grow(addedBytes: number): void {
    this.#sizeBytes += addedBytes;
    this.#tell();
  }

  fail(error: unknown): void {
    this.#failure = error;
    this.#tell();
  }

  #tell(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }

  async wait(offset: number): Promise<number> {
    while (this.#sizeBytes <= offset) {
      if (this.#failure !== undefined) throw this.#failure;
      await this.#wake.promise;
    }
    return this.#sizeBytes;
  }
}
