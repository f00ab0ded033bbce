/** Volumes copied, packed and unpacked, on a real file system. Needs root. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { fileKernel } from "#kernel/file.ts";
import { encodeBackupHeader, openBackup } from "#volume/backup-format.ts";
import { copyTree, packTree, unpackTree } from "#volume/copies.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync("/tmp/naru-vol-copies-");
  for (const name of ["from", "to"]) mkdirSync(`${root}/${name}`);
});

afterEach(() => rmSync(root, { recursive: true }));

const fillTree = (): void => {
  const from = `${root}/from`;
  mkdirSync(`${from}/sub/deep`, { recursive: true });
  writeFileSync(`${from}/sub/file`, "text");
  chownSync(`${from}/sub/file`, 1234, 5678);
  chmodSync(`${from}/sub/file`, 0o4750);
  linkSync(`${from}/sub/file`, `${from}/hard`);
  symlinkSync("/etc/passwd", `${from}/link`);
  writeFileSync(`${from}/sparse`, "");
  truncateSync(`${from}/sparse`, 64 << 20);
  writeFileSync(`${from}/line\nbreak`, "");
  fileKernel.setXattr(`${from}/hard`, "user.note", Buffer.from("kept"));
  chownSync(from, 999, 998);
  chmodSync(from, 0o2770);
};

const expectTree = (path: string): void => {
  expect(readdirSync(path).toSorted()).toEqual(["hard", "line\nbreak", "link", "sparse", "sub"]);
  const file = statSync(`${path}/sub/file`);
  expect([file.uid, file.gid, file.mode & 0o7777]).toEqual([1234, 5678, 0o4750]);
  expect(statSync(`${path}/hard`).ino).toBe(file.ino);
  expect(statSync(`${path}/sparse`).size).toBe(64 << 20);
  expect(statSync(`${path}/sparse`).blocks).toBeLessThan(64);
  const note = fileKernel.getXattr(`${path}/hard`, "user.note");
  expect(Buffer.from(note ?? []).toString()).toBe("kept");
  const top = statSync(path);
  expect([top.uid, top.gid, top.mode & 0o7777]).toEqual([999, 998, 0o2770]);
};

test("a copy has everything, holes included", async () => {
  fillTree();
  await copyTree(`${root}/from`, `${root}/to`);
  expectTree(`${root}/to`);
});

for (const isCompressed of [false, true]) {
  test(`packed and unpacked again is the same (compressed: ${isCompressed})`, async () => {
    fillTree();
    const tar = packTree(`${root}/from`, { isCompressed, isQuiet: true });
    await unpackTree(fileKernel, `${root}/to`, tar);
    expectTree(`${root}/to`);
  });
}

test("what the tree plants leads nowhere else", async () => {
  writeFileSync(`${root}/from/outside`, "archive");
  mkdirSync(`${root}/elsewhere`);
  writeFileSync(`${root}/elsewhere/outside`, "host");
  mkdirSync(`${root}/from/evil`);
  writeFileSync(`${root}/from/evil/outside`, "archive");
  symlinkSync(`${root}/elsewhere`, `${root}/to/evil`);
  const tar = packTree(`${root}/from`, { isCompressed: false, isQuiet: true });
  await unpackTree(fileKernel, `${root}/to`, tar).catch(() => undefined);
  expect(readFileSync(`${root}/elsewhere/outside`, "utf8")).toBe("host");
});

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const read = async (source: AsyncIterable<Uint8Array>): Promise<string> =>
  Buffer.concat(await Array.fromAsync(source)).toString();

const HEADER = { name: "data", createdAt: "2026-01-01T00:00:00Z", labels: { a: "ü" } };

test("a backup's header is found again, however the bytes arrive; other archives pass unchanged", async () => {
  const bytes = Buffer.concat([encodeBackupHeader(HEADER), Buffer.from("body")]);
  for (const size of [1, 3, 7, 1000]) {
    const { header, body } = await openBackup(pieces(bytes, size));
    expect(header).toEqual(HEADER);
    expect(await read(body)).toBe("body");
  }
  const other = await openBackup(pieces(Buffer.from("tar"), 2));
  expect([other.header, await read(other.body)]).toEqual([undefined, "tar"]);
  const foreign = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 0x7b, 0x7d, 1]);
  const passed = await openBackup(pieces(foreign, 4));
  expect(passed.header).toBeUndefined();
  expect(await read(passed.body)).toBe(foreign.toString());
});

test("a header that is cut off is refused", async () => {
  const bytes = encodeBackupHeader(HEADER).subarray(0, 20);
  expect(openBackup(pieces(bytes, 5))).rejects.toThrow("the backup is damaged");
});
