/** How much processor time work takes: a busy machine makes it wait, not work more. */

/**
 * Of this whole process, in milliseconds, the least of `tries`: the collector and whatever else goes on
 * beside are in some of them, in all of them only the work itself.
 */
export const leastCpuMs = async (tries: number, work: () => unknown): Promise<number> => {
  let least = Number.POSITIVE_INFINITY;
  for (let index = 0; index < tries; index += 1) {
    const before = process.cpuUsage();
    // oxlint-disable-next-line no-await-in-loop -- one after the other: they share a processor
    await work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
};
