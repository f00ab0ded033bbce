import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { openDatabase } from "#database/database.ts";

const MIGRATIONS = [
  { id: 1, sql: "CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)" },
  { id: 2, sql: "ALTER TABLE t ADD COLUMN w TEXT" },
];

test("migrates in steps, keeps rows, refuses a newer schema", () => {
  const root = mkdtempSync("/tmp/naru-db-");
  try {
    const first = openDatabase(`${root}/a.db`, MIGRATIONS.slice(0, 1));
    first.run("INSERT INTO t VALUES (?, ?)", "a", "1");
    first.close();
    const second = openDatabase(`${root}/a.db`, MIGRATIONS);
    expect(second.get("SELECT k, v, w FROM t")).toEqual({ k: "a", v: "1", w: null });
    second.close();
    expect(() => openDatabase(`${root}/a.db`, MIGRATIONS.slice(0, 1))).toThrow("newer naru");
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("a throw rolls the whole transaction back, nested work included", () => {
  const db = openDatabase(":memory:", MIGRATIONS);
  expect(() =>
    db.transaction(() => {
      db.run("INSERT INTO t (k) VALUES ('a')");
      db.transaction(() => db.run("INSERT INTO t (k) VALUES ('b')"));
      throw new Error("no");
    }),
  ).toThrow("no");
  expect(db.all("SELECT * FROM t")).toEqual([]);
});

test("its files are the owner's alone", () => {
  const root = mkdtempSync("/tmp/naru-db-");
  try {
    const db = openDatabase(`${root}/a.db`, MIGRATIONS);
    db.run("INSERT INTO t (k) VALUES ('a')");
    const names = readdirSync(root);
    expect(names).toContain("a.db-wal");
    const open = names.filter((name) => (statSync(`${root}/${name}`).mode & 0o077) !== 0);
    expect(open).toEqual([]);
    db.close();
  } finally {
    rmSync(root, { recursive: true });
  }
});
