/** The load generator of `native/load.c`: built on first use; every figure it gives is checked. */
import { existsSync } from "node:fs";

import { must } from "../test/harness/process.ts";

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
}

const binary = `/tmp/naru-bench-load-${process.pid}`;
process.on("exit", () => Bun.spawnSync(["rm", "-f", binary]));

/**
 * Loads `unix:/path` or `tcp:addr:port`; `enter` is argv in front (a network namespace), `fields` further header
 * lines, each with its CRLF.
 */
export const load = async (
  target: string,
  connections: number,
  seconds: number,
  path: string,
  enter: readonly string[] = [],
  fields = "",
): Promise<LoadResult> => {
  if (!existsSync(binary)) {
    await must(["cc", "-O2", "-o", binary, `${import.meta.dir}/native/load.c`]);
  }
  const numbers = [String(connections), String(seconds)];
  const out = await must([...enter, binary, target, ...numbers, path, fields]);
  const [count = 0, took = 1, p50 = 0, p99 = 0, , failures = 0] = out.trim().split(" ").map(Number);
  return { perSecond: count / took, p50Ms: p50 / 1000, p99Ms: p99 / 1000, failures };
};
