/** The daemon's side of a process beside it that does not do its part. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Companion } from "#companion/companion.ts";
import { silentLogger } from "#lib/log.ts";
import { listenUnixStream } from "#kernel/unix-stream.ts";

test("a process that takes connections and never says hello is replaced", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-companion-"));
  const socketPath = join(folder, "s");
  const silent = listenUnixStream(socketPath, 0o600, () => undefined);
  const companion = new Companion({
    what: "the tested process",
    command: ["sh", "-c", "echo a new one >&2"],
    socketPath,
    build: "test",
    sync: () => Promise.resolve(),
    log: silentLogger,
  });
  expect(await companion.request({}).catch(String)).toContain("did not start: a new one");
  companion.close();
  silent.close();
  rmSync(folder, { recursive: true });
}, 120_000);
