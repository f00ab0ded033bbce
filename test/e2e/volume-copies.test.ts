/** naru's own verbs for volumes: rename, clone, export, import, backup, restore. */
import { expect } from "bun:test";
import { existsSync, linkSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

import {
  api,
  BUSYBOX,
  check,
  docker,
  dockerOk,
  engine,
  naruOnly,
  run,
  shOk,
  until,
} from "../harness/check.ts";
import { naruBinary } from "../harness/naru.ts";

const skip = naruOnly("volumes are copied by its own CLI");

const naru = (...args: string[]) =>
  run([naruBinary(), "-H", engine.host, ...args], { timeoutMs: 200_000 });

const naruOk = async (...args: string[]): Promise<string> => {
  const out = await naru(...args);
  if (out.code !== 0) throw new Error(`naru ${args.join(" ")}: ${out.code}\n${out.stderr}`);
  return out.stdout.trim();
};

/**
 * Writes as a database does: a number into the log, then into the table. At every instant the log is equal to the
 * table or ahead of it by one; a copy that was not made at one instant (log first, table later) breaks this.
 */
const WRITER = `i=0; while :; do i=$((i+1));
  echo $i > /d/a-log.new; mv /d/a-log.new /d/a-log;
  echo $i > /d/z-table.new; mv /d/z-table.new /d/z-table; done`;

/** Bulk between the two, so that a copy takes much longer than a round of the writer. */
const FILL = "for i in 1 2 3 4 5 6 7 8; do dd if=/dev/urandom of=/d/m-$i bs=1M count=16; done";

const expectConsistent = (log: string, table: string): void => {
  const [ahead, behind] = [Number(log), Number(table)];
  expect(behind).toBeGreaterThan(0);
  expect([0, 1]).toContain(ahead - behind);
};

const startWriter = async (
  t: Parameters<Parameters<typeof check>[1]>[0],
): Promise<{ volume: string; box: string }> => {
  const volume = await t.volume("--label", "kind=database");
  await shOk(["-v", `${volume}:/d`], `${FILL} 2>/dev/null`);
  const box = await t.up("-v", `${volume}:/d`, BUSYBOX, "sh", "-c", WRITER);
  await until("its first round", async () =>
    /^[1-9]/.test((await docker(["exec", box, "cat", "/d/z-table"])).stdout),
  );
  return { volume, box };
};

const counter = async (box: string): Promise<number> =>
  Number(await dockerOk("exec", box, "cat", "/d/a-log"));

check(
  "clone under a writer: a copy of one instant; the writer goes on",
  async (t) => {
    const { volume, box } = await startWriter(t);
    const copy = t.name();
    t.defer(() => api("DELETE", `/volumes/${copy}?force=1`));
    expect(await naruOk("volume", "clone", volume, copy)).toBe(copy);
    const read = "cat /d/a-log; cat /d/z-table; ls /d | grep -c m-";
    const [log = "", table = "", bulk] = (await shOk(["-v", `${copy}:/d`], read)).split("\n");
    expectConsistent(log, table);
    expect(bulk).toBe("8");
    expect(JSON.parse(await dockerOk("volume", "inspect", copy))[0].Labels).toEqual({
      kind: "database",
    });
    const before = await counter(box);
    await until("it goes on", async () => (await counter(box)) > before);
    expect(await dockerOk("inspect", "-f", "{{.State.Status}}", box)).toBe("running");
  },
  { skip },
);

check(
  "backup under a writer, read by plain tools, restored under its old name",
  async (t) => {
    const { volume, box } = await startWriter(t);
    const folder = t.folder();
    await naruOk("volume", "backup", "-o", `${folder}/b.tar.zst`, volume);
    const unpack = `cd ${folder} && zstd -dcq b.tar.zst | tar -x ./a-log ./z-table`;
    const out = await run(["sh", "-c", unpack], { timeoutMs: 200_000 });
    expect([out.code, out.stderr]).toEqual([0, ""]);
    expectConsistent(
      readFileSync(`${folder}/a-log`, "utf8"),
      readFileSync(`${folder}/z-table`, "utf8"),
    );
    expect((await naru("volume", "restore", "-i", `${folder}/b.tar.zst`)).stderr).toContain(
      "exists already",
    );
    await api("DELETE", `/containers/${box}?force=1`);
    await dockerOk("volume", "rm", volume);
    expect(await naruOk("volume", "restore", "-i", `${folder}/b.tar.zst`)).toBe(volume);
    const read = await shOk(["-v", `${volume}:/d`], "cat /d/a-log");
    expect(`${read}\n`).toBe(readFileSync(`${folder}/a-log`, "utf8"));
  },
  { skip },
);

check(
  "a database-like file with SQLite's own journal survives backups under load",
  async (t) => {
    const volume = await t.volume();
    const { Mountpoint } = JSON.parse(await dockerOk("volume", "inspect", volume))[0];
    // The writer is a container's process: a statically linked shell cannot speak SQLite, so the runtime does.
    const folder = t.folder();
    linkSync(resolve(process.execPath), `${folder}/bun`);
    writeFileSync(
      `${folder}/write.ts`,
      `import { Database } from "bun:sqlite";
     const db = new Database("/d/db.sqlite"); db.run("PRAGMA journal_mode=WAL");
     db.run("CREATE TABLE t (a INTEGER, b TEXT)"); db.run("CREATE TABLE sums (n INTEGER)");
     db.run("INSERT INTO sums VALUES (0)");
     const step = db.transaction((n: number) => {
       for (let i = 0; i < 50; i++) db.run("INSERT INTO t VALUES (?, ?)", [n, "x".repeat(500)]);
       db.run("UPDATE sums SET n = n + 50"); });
     for (let n = 0; ; n++) { step(n); if (n === 3) console.log("under way"); }`,
    );
    const libraries = ["/lib", "/lib64", "/usr"].filter((path) => existsSync(path));
    const box = await t.up(
      "-v",
      `${volume}:/d`,
      "-v",
      `${folder}:/w:ro`,
      ...libraries.flatMap((path) => ["-v", `${path}:${path}:ro`]),
      BUSYBOX,
      "/w/bun",
      "/w/write.ts",
    );
    await until("it writes", async () => (await dockerOk("logs", box)).includes("under way"));
    for (let round = 0; round < 3; round++) {
      const copy = t.name();
      t.defer(() => api("DELETE", `/volumes/${copy}?force=1`));
      await naruOk("volume", "clone", volume, copy);
      const { Database } = await import("bun:sqlite");
      const place = (Mountpoint as string).replace(volume, copy);
      const db = new Database(`${place}/db.sqlite`);
      const { n } = db.query("SELECT n FROM sums").get() as { n: number };
      const { c } = db.query("SELECT count(*) AS c FROM t").get() as { c: number };
      expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
      db.close();
      expect(n).toBeGreaterThan(0);
      expect(c).toBe(n);
    }
    expect(await dockerOk("inspect", "-f", "{{.State.Status}}", box)).toBe("running");
  },
  { skip },
);

check(
  "rename: content stays, containers hold the name",
  async (t) => {
    const volume = await t.volume("--label", "a=b");
    await shOk(["-v", `${volume}:/d`], "echo kept > /d/f");
    const other = t.name();
    t.defer(() => api("DELETE", `/volumes/${other}?force=1`));
    const box = await t.create("-v", `${volume}:/d`, BUSYBOX);
    expect((await naru("volume", "rename", volume, other)).stderr).toContain("volume is in use");
    await api("DELETE", `/containers/${box}?force=1`);
    await naruOk("volume", "rename", volume, other);
    expect(await shOk(["-v", `${other}:/d`], "cat /d/f")).toBe("kept");
    expect((await api("GET", `/volumes/${volume}`)).status).toBe(404);
  },
  { skip },
);

check(
  "export and import: a tar that any tar reads, and back",
  async (t) => {
    const volume = await t.volume();
    await shOk(
      ["-v", `${volume}:/d`],
      "echo kept > /d/f; chown 7:8 /d/f; chmod 711 /d; ln -s f /d/l",
    );
    const folder = t.folder();
    await naruOk("volume", "export", "-o", `${folder}/v.tar`, volume);
    const list = await run(["tar", "-tvf", `${folder}/v.tar`, "--numeric-owner"], {
      timeoutMs: 60_000,
    });
    expect(list.stdout).toMatch(/7\/8 .* \.\/f/);
    const other = await t.volume();
    await naruOk("volume", "import", other, `${folder}/v.tar`);
    const script = "cat /d/f; stat -c '%a' /d; stat -c '%u:%g' /d/f; readlink /d/l";
    expect(await shOk(["-v", `${other}:/d`], script)).toBe("kept\n711\n7:8\nf");
    const sized = await naruOk("volume", "inspect", "--size", "-f", "{{.UsageData.Size}}", other);
    expect(Number(sized)).toBe(6);
    await t.idle("-v", `${other}:/d`);
    const missing = await naru("volume", "import", `${other}-none`, `${folder}/v.tar`);
    expect([missing.code, missing.stderr]).toEqual([
      1,
      `Error response from daemon: get ${other}-none: no such volume: make it with 'naru volume create ${other}-none'\n`,
    ]);
    expect((await naru("volume", "import", other, `${folder}/v.tar`)).stderr).toContain(
      "stop them first",
    );
  },
  { skip },
);
