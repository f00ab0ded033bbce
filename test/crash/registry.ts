/** A registry in a world's network: crash/image:1 (two layers) and crash/image:big (100 MB when unpacked). */
import { until } from "../harness/process.ts";
import type { CrashWorld } from "./world.ts";

export interface WorldRegistry {
  readonly host: string;
  /** A line for each request. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

export const startRegistry = async (w: Pick<CrashWorld, "world">): Promise<WorldRegistry> => {
  const script = `${import.meta.dir}/../harness/registry-process.ts`;
  const child = Bun.spawn([...w.world.enter, process.execPath, script], { stdout: "pipe" });
  const lines: string[] = [];
  const read = async (): Promise<void> => {
    for await (const chunk of child.stdout) {
      lines.push(...Buffer.from(chunk).toString().trim().split("\n"));
    }
  };
  void read();
  await until("the registry", () => lines.length > 0);
  return {
    host: lines.shift() ?? "",
    lines,
    stop: async () => {
      child.kill();
      await child.exited;
    },
  };
};
