/** Execs that are loaded before they are needed, beside fresh ones. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { randomHex, sleep } from "#lib/clock.ts";
import {
  SHOW,
  type Used,
  type World,
  close,
  closeWorlds,
  configOf,
  create,
  crun,
  kernel,
  makeWorld,
  openWorlds,
  until,
} from "#runtime/ready.fake.ts";

beforeAll(openWorlds);
afterAll(closeWorlds);

const exec = async (w: World, id: string, changes: { hasStdin?: boolean; fill?: string } = {}) => {
  const execId = randomHex(16);
  const { hasStdin = false, fill = "" } = changes;
  const command = `${SHOW.replace("exit 3", "")} ${hasStdin ? "busybox cat;" : ""} exit 6`;
  const started = await w.runtime.exec({
    id,
    execId,
    process: JSON.stringify({
      args: ["/bin/busybox", "sh", "-c", command],
      cwd: "/",
      user: { uid: 0, gid: 0 },
      env: ["PATH=/bin", `FILL=${fill}`],
      capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
      noNewPrivileges: true,
    }),
    isTty: false,
    hasStdin,
    isDetached: false,
    explain: (message) => ({ message, exitCode: 126 }),
  });
  const used: Used = existsSync(`${w.root}/runtime/exec/${execId}`) ? "fresh" : "ready";
  if (hasStdin) {
    await started.stdio?.write(Buffer.from("typed\n"));
    started.stdio?.closeStdin();
  }
  let text = "";
  for await (const { bytes } of started.stdio?.output ?? []) text += Buffer.from(bytes).toString();
  const lines = text
    .replaceAll(/\[\d+\]/g, "[N]")
    .replaceAll(/proc\/\d+/g, "proc/N")
    .split("\n");
  return { used, exitCode: await started.exited, lines: lines.toSorted() };
};

/** The first one that is prepared is a trial, so again until one was used. */
const readyExec = async (w: World, id: string, hasStdin = false) => {
  for (;;) {
    w.runtime.prepareExec(id, { hasStdin });
    const result = await exec(w, id, { hasStdin });
    if (result.used === "ready") return result;
    await sleep(5);
  }
};

test.skipIf(crun === null)(
  "an exec that was loaded before is as a fresh one",
  async () => {
    const w = makeWorld(crun ?? "");
    const id = "9".repeat(64);
    const { process } = await create(w, id, configOf("execs", ["/bin/busybox", "sleep", "600"]));
    try {
      await w.runtime.start(id, process);
      const fresh = await exec(w, id);
      expect(fresh).toMatchObject({ used: "fresh", exitCode: 6 });
      expect(fresh.lines.length).toBeGreaterThan(20);
      expect(await readyExec(w, id)).toEqual({ ...fresh, used: "ready" });
      const typed = await readyExec(w, id, true);
      expect(typed.lines).toContain("typed");
      // Of another kind, too large, or not wanted any more.
      w.runtime.prepareExec(id, { hasStdin: false });
      expect((await exec(w, id, { hasStdin: true })).used).toBe("fresh");
      const large = await exec(w, id, { fill: "x".repeat(70_000) });
      expect(large).toMatchObject({ used: "fresh", exitCode: 6 });
      w.runtime.prepareExec(id, { hasStdin: false });
      w.runtime.dropExecs(id);
      expect((await exec(w, id)).used).toBe("fresh");
      expect(w.reasons).toEqual([]);
      w.runtime.prepareExec(id, { hasStdin: false });
    } finally {
      kernel.kill(process.pid, 9);
      await w.ended(id);
      await w.runtime.delete(id);
      await close(w);
    }
    await until(() => readdirSync(`${w.root}/runtime/exec`).length === 0 || undefined);
  },
  60_000,
);
