/** A companion's own process, started for real. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LineChannel } from "#companion/line-channel.ts";
import { connectUnixStream } from "#kernel/unix-stream.ts";

const PROCESS = `
  import { runCompanion } from "#companion/process.ts";
  import { listenUnixStream } from "#kernel/unix-stream.ts";
  const path = await Bun.stdin.text();
  await runCompanion({
    build: "test",
    accept: (onConnection) => listenUnixStream(path, 0o600, onConnection),
    canBeFound: () => true,
    open: () => ({ handle: () => Promise.resolve("done"), isIdle: () => false, close: () => undefined }),
  });
  process.exit(0);
`;

const isListened = (path: string): boolean =>
  readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    // Flags: __SO_ACCEPTCON.
    .some((line) => line.endsWith(` ${path}`) && line.includes(" 00010000 "));

test("a process whose daemon was killed before it was ready serves the next one, and ends when told to", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-companion-"));
  const path = join(folder, "s");
  const child = Bun.spawn([process.execPath, "-e", PROCESS], {
    cwd: import.meta.dir,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    // Nobody reads any more what it says.
    await child.stdout.cancel();
    void child.stdin.write(path);
    await child.stdin.end();
    // It is there, a moment before it listens.
    while (!isListened(path) && child.exitCode === null) await Bun.sleep(5);
    const told: unknown[] = [];
    const channel = new LineChannel(
      connectUnixStream(path),
      (value) => told.push(value),
      () => undefined,
    );
    channel.send({ id: 1, body: "work" });
    channel.send({ order: "end" });
    expect(await child.exited).toBe(0);
    expect(told).toEqual([{ hello: { build: "test", pid: child.pid } }, { id: 1, result: "done" }]);
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
}, 60_000);
