import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { filesBelow, sortChanges } from "#cli/compose/watch-files.ts";

test("links are paths of their own, and what has gone is told from what is there", () => {
  const folder = mkdtempSync(`${tmpdir()}/naru-watch-files-`);
  using cleanup = new DisposableStack();
  cleanup.defer(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(`${folder}/deep`);
  writeFileSync(`${folder}/deep/f`, "x", { mode: 0o640 });
  symlinkSync("..", `${folder}/deep/up`);
  expect(filesBelow(folder).toSorted()).toEqual([`${folder}/deep/f`, `${folder}/deep/up`]);

  const rule = { path: folder, action: "sync", target: "/app" } as const;
  const names = ["deep", "deep/f", "deep/up", "none", "deep/f/below-a-file"];
  const changes = names.map((name) => ({
    service: "s",
    rule,
    path: `${folder}/${name}`,
    target: `/app/${name}`,
  }));
  const { files, links, gone } = sortChanges(changes);
  expect(files).toMatchObject([{ path: "app/deep/f", mode: 0o640, uid: 0, gid: 0 }]);
  expect(links).toEqual([{ path: "app/deep/up", linkName: ".." }]);
  expect(gone).toEqual(["/app/none", "/app/deep/f/below-a-file"]);
});
