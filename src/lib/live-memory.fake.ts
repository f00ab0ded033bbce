/** How much memory a test holds on to while it runs, whatever of it the collector has not seen yet. */

export interface LiveMemory {
  /** Collects, then looks. */
  sample(): void;
  /** The most that was seen, above what there was at the beginning. */
  readonly peakBytes: number;
}

export const watchLiveMemory = (): LiveMemory => {
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  let peakBytes = 0;
  return {
    sample: () => {
      Bun.gc(true);
      peakBytes = Math.max(peakBytes, process.memoryUsage().rss - before);
    },
    get peakBytes() {
      return peakBytes;
    },
  };
};
