import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { removeDirectory } from "#lib/remove-directory.ts";

const root = mkdtempSync("/tmp/naru-remove-");
afterAll(() => rmSync(root, { recursive: true, force: true }));

const NAMES = Array.from({ length: 200 }, (_, at) => `file${at}`);

test("nothing is left where another process removes the same things", async () => {
  for (let turn = 0; turn < 30; turn += 1) {
    const directory = `${root}/${turn}`;
    mkdirSync(directory);
    for (const name of NAMES) writeFileSync(`${directory}/${name}`, "");
    const other = Bun.spawn(["rm", "-rf", directory], { stderr: "ignore" });
    // Each is in the middle of it somewhere, most times.
    while (existsSync(`${directory}/${NAMES[0]}`) && existsSync(`${directory}/${NAMES[150]}`));
    removeDirectory(directory);
    expect(existsSync(directory)).toBe(false);
    await other.exited;
  }
  removeDirectory(`${root}/none`);
});
