import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { sweepExecs } from "#runtime/exec-sweep.ts";

test("directories of execs go where their monitor has, or where there was none", async () => {
  const root = mkdtempSync("/tmp/naru-execs-");
  const monitor = Bun.spawn(["sh", "-c", "read -r line", "monitor-of-living"], { stdin: "pipe" });
  try {
    const leave = (name: string, pid?: number): void => {
      mkdirSync(`${root}/${name}`);
      writeFileSync(`${root}/${name}/process.json`, "{}");
      if (pid !== undefined) writeFileSync(`${root}/${name}/conmon.pid`, `${pid}`);
    };
    leave("living", monitor.pid);
    leave("ready-1");
    leave("another", monitor.pid);
    leave("ended", 2 ** 30);
    leave("broken", Number.NaN);
    sweepExecs(root);
    expect(readdirSync(root)).toEqual(["living"]);
    monitor.kill("SIGKILL");
    await monitor.exited;
    sweepExecs(root);
    expect(readdirSync(root)).toEqual([]);
  } finally {
    monitor.kill("SIGKILL");
    rmSync(root, { recursive: true, force: true });
  }
});
