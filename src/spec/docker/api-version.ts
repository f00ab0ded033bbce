/** Versions of the Docker Engine API, "1.41". */

/** What naru speaks: equal to Docker 28.3–28.5 at the top, the daemon's own floor at the bottom. */
export const API_VERSION_MAX = "1.51";
export const API_VERSION_MIN = "1.24";

/** Negative when `a` is older than `b`, 0 when equal. Compares numerically, part by part. */
export const compareVersions = (a: string, b: string): number => {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
};
