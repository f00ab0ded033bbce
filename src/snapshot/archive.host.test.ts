import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { gzipSync } from "node:zlib";
import { hasCode } from "#lib/errors.ts";
import { TarReader } from "#lib/tar/reader.ts";
import { createKernel } from "#kernel/real.ts";
import { goFileMode, readArchive, statPath, writeArchive } from "#snapshot/archive.ts";
import {
  directory,
  file,
  hardLink,
  once,
  symlink,
  tarOf,
  temporary,
  type TarInput,
} from "#snapshot/tar-fixture.fake.ts";

const kernel = createKernel();

/** root/ is the container's tree, outside/ what it must never reach. */
const container = (): { readonly root: string; readonly outside: string } & Disposable => {
  const dir = temporary();
  const [root, outside] = [`${dir.path}/root`, `${dir.path}/outside`];
  for (const path of ["etc", "app/data", "srv"]) mkdirSync(`${root}/${path}`, { recursive: true });
  mkdirSync(outside);
  writeFileSync(`${outside}/secret`, "host secret");
  writeFileSync(`${root}/etc/hosts`, "hosts");
  utimesSync(`${root}/etc/hosts`, 1_600_000_000, 1_600_000_000.25);
  symlinkSync("/etc", `${root}/abs`);
  symlinkSync("../../../../../etc/hosts", `${root}/app/up`);
  symlinkSync(`${outside}/secret`, `${root}/leak`);
  symlinkSync("/nowhere/at/all", `${root}/broken`);
  symlinkSync("loop", `${root}/loop`);
  return { root, outside, [Symbol.dispose]: () => dir[Symbol.dispose]() };
};

const names = async (tar: ReadableStream<Uint8Array>): Promise<string[]> => {
  const found: string[] = [];
  for await (const { entry } of new TarReader(tar)) {
    found.push(entry.linkName === "" ? entry.name : `${entry.name} -> ${entry.linkName}`);
  }
  return found;
};

test("modes are Go's", () => {
  expect(goFileMode(0o100644)).toBe(0o644);
  expect(goFileMode(0o040755)).toBe(2147484141);
  expect(goFileMode(0o120777)).toBe(134218239);
  expect(goFileMode(0o104755)).toBe(8389101);
  expect(goFileMode(0o041777)).toBe(2148532735);
  expect(goFileMode(0o020666)).toBe(69206454);
});

test("stat of files, directories and symlinks", () => {
  using c = container();
  const stat = (path: string) => statPath(kernel, c.root, path);
  expect(stat("/etc/hosts")).toEqual({
    name: "hosts",
    size: 5,
    mode: 0o644,
    mtime: "2020-09-13T12:26:40.250000000Z",
    linkTarget: "",
  });
  expect(stat("etc/../etc/./hosts").name).toBe("hosts");
  expect(stat("/").name).toBe("/");
  expect([stat("/abs").name, stat("/abs").linkTarget]).toEqual(["abs", "/etc"]);
  expect([stat("/abs/").name, stat("/abs/").linkTarget]).toEqual(["abs", ""]);
  expect([stat("/abs/.").name, stat("/abs/.").mode > 2 ** 31]).toEqual([".", true]);
  expect(stat("/abs/hosts").size).toBe(5);
  expect(stat("/app/up").linkTarget).toBe("/etc/hosts");
  expect(stat("/broken").linkTarget).toBe("/nowhere/at/all");
  expect(stat("/leak").linkTarget).toBe(`${c.outside}/secret`);
  expect(() => stat("/loop")).toThrow("too many symbolic links");
});

for (const path of ["/none", "/etc/hosts/x", "/leak/", "/broken/x", "/../../none"]) {
  test(`nothing is found at "${path}"`, async () => {
    using c = container();
    for (const look of [statPath, readArchive]) {
      let thrown: unknown;
      try {
        look(kernel, c.root, path);
      } catch (error) {
        thrown = error;
      }
      expect(String(thrown)).toContain(`Could not find the file ${path} in container`);
      expect(hasCode(thrown, "not_found")).toBe(true);
    }
  });
}

test("a file is no directory", () => {
  using c = container();
  expect(() => statPath(kernel, c.root, "/etc/hosts/")).toThrow("not a directory");
});

test("archives are named after the path that was asked for", async () => {
  using c = container();
  linkSync(`${c.root}/etc/hosts`, `${c.root}/etc/linked`);
  const list = (path: string): Promise<string[]> => names(readArchive(kernel, c.root, path).tar);
  expect(await list("/etc")).toEqual(["etc/", "etc/hosts", "etc/linked -> etc/hosts"]);
  expect(await list("/abs")).toEqual(["abs -> /etc"]);
  expect(await list("/abs/")).toEqual(["abs/", "abs/hosts", "abs/linked -> abs/hosts"]);
  expect(await list("/abs/.")).toEqual(["./", "./hosts", "./linked -> ./hosts"]);
  expect(await list("/abs/./")).toEqual(["./", "./hosts", "./linked -> ./hosts"]);
  expect((await list("./"))[0]).toBe("./");
  expect(await list("/etc/hosts")).toEqual(["hosts"]);
  expect(await list("/leak")).toEqual([`leak -> ${c.outside}/secret`]);
  expect((await list("/")).slice(0, 4)).toEqual(["/", "/abs -> /etc", "/app/", "/app/data/"]);
});

test("big files come in chunks, and a cancelled stream closes everything", async () => {
  using c = container();
  writeFileSync(`${c.root}/big`, Buffer.alloc(2_000_001, "b"));
  const { tar, stat } = readArchive(kernel, c.root, "/big");
  expect(stat.size).toBe(2_000_001);
  for await (const packed of new TarReader(tar)) {
    const chunks = await Array.fromAsync(packed.body());
    expect(Buffer.concat(chunks).equals(Buffer.alloc(2_000_001, "b"))).toBe(true);
  }
  const before = readdirSync("/proc/self/fd").length;
  const reader = readArchive(kernel, c.root, "/").tar.getReader();
  await reader.read();
  await reader.cancel();
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});

const NOTHING = { noOverwriteDirNonDir: false };

test("files go in, with owners, over what is there", async () => {
  using c = container();
  const tar = tarOf(
    directory("./"),
    file("hosts", "new", { uid: 5, gid: 6, mode: 0o4755 }),
    directory("sub/", { mode: 0o2711 }),
    file("sub/.wh.name", "no whiteout here"),
    hardLink("sub/hard", "hosts"),
    symlink("sub/link", "/anywhere"),
  );
  await writeArchive(kernel, c.root, "/etc", once(tar), NOTHING);
  const hosts = statSync(`${c.root}/etc/hosts`);
  expect([hosts.uid, hosts.gid, hosts.mode & 0o7777, hosts.nlink]).toEqual([5, 6, 0o4755, 2]);
  expect(readFileSync(`${c.root}/etc/sub/.wh.name`, "utf8")).toBe("no whiteout here");
  expect(statSync(`${c.root}/etc/sub`).mode & 0o7777).toBe(0o2711);
  // By a symlink to a directory, compressed, with another owner.
  const owner = { uid: 1000, gid: 1001 };
  const packed = gzipSync(tarOf(file("x", "x"), directory("d"), symlink("s", "x")));
  await writeArchive(kernel, c.root, "/abs", once(packed), { ...NOTHING, owner });
  for (const name of ["x", "d", "s"]) {
    const { uid, gid } = lstatSync(`${c.root}/etc/${name}`);
    expect([uid, gid]).toEqual([1000, 1001]);
  }
});

test("a directory with the set-group-id bit does not change the owner that the archive says", async () => {
  using c = container();
  chmodSync(`${c.root}/srv`, 0o2777);
  Bun.spawnSync(["chgrp", "77", `${c.root}/srv`]);
  chmodSync(`${c.root}/srv`, 0o2777);
  await writeArchive(kernel, c.root, "/srv", once(tarOf(file("f"), directory("d"))), NOTHING);
  expect([statSync(`${c.root}/srv/f`).gid, statSync(`${c.root}/srv/d`).gid]).toEqual([0, 0]);
  expect(statSync(`${c.root}/srv/d`).mode & 0o7777).toBe(0o755);
});

test("the target must be a directory that exists", async () => {
  using c = container();
  const write = (path: string): Promise<void> =>
    writeArchive(kernel, c.root, path, once(tarOf(file("x"))), NOTHING);
  expect(write("/etc/hosts")).rejects.toThrow("extraction point is not a directory");
  expect(write("/none")).rejects.toThrow("Could not find the file /none in container");
  expect(write("/broken")).rejects.toThrow("Could not find the file /broken");
});

test("kinds are not mixed when asked not to", async () => {
  using c = container();
  const write = (...entries: readonly TarInput[]): Promise<void> =>
    writeArchive(kernel, c.root, "/", once(tarOf(...entries)), { noOverwriteDirNonDir: true });
  expect(write(file("etc"))).rejects.toThrow(
    'cannot overwrite directory "etc" with non-directory "etc"',
  );
  await write(directory("etc"), file("etc/hosts", "h"));
  expect(write(directory("etc/hosts"))).rejects.toThrow('cannot overwrite non-directory "hosts"');
  await writeArchive(kernel, c.root, "/", once(tarOf(file("srv", "f"))), NOTHING);
  expect(readFileSync(`${c.root}/srv`, "utf8")).toBe("f");
});

test("symlinks in the tree are the container's own: nothing leaves it", async () => {
  using c = container();
  symlinkSync(c.outside, `${c.root}/app/out`);
  symlinkSync("../../../../../../..", `${c.root}/app/top`);
  await writeArchive(kernel, c.root, "/app", once(tarOf(file("top/srv/in", "in root"))), NOTHING);
  expect(readFileSync(`${c.root}/srv/in`, "utf8")).toBe("in root");
  const evil = [
    file("out/secret", "overwritten"),
    file("../secret", "x"),
    hardLink("stolen", `../../${c.outside}/secret`),
    hardLink("stolen", `${c.outside}/secret`),
    file("out/new", "x"),
  ];
  for (const entry of evil) {
    await writeArchive(kernel, c.root, "/app", once(tarOf(entry)), NOTHING).catch(
      (error: unknown) => expect(hasCode(error, "invalid_argument")).toBe(true),
    );
  }
  expect(readdirSync(c.outside)).toEqual(["secret"]);
  expect(readFileSync(`${c.outside}/secret`, "utf8")).toBe("host secret");
  expect(lstatSync(`${c.outside}/secret`).nlink).toBe(1);
  expect(existsSync(`${c.root}/app/stolen`)).toBe(false);
});

test("a tree that changes under our eyes gives nothing away", async () => {
  using c = container();
  mkdirSync(`${c.root}/race/dir`, { recursive: true });
  writeFileSync(`${c.root}/race/dir/secret`, "harmless");
  const flip = Bun.spawn([
    "sh",
    "-c",
    `cd ${c.root}/race; ln -s ${c.outside} link; while :; do mv dir kept; mv link dir; mv dir link; mv kept dir; done 2>/dev/null`,
  ]);
  try {
    for (let round = 0; round < 150; round++) {
      const { tar } = readArchive(kernel, c.root, "/race");
      for await (const packed of new TarReader(tar)) {
        const text = Buffer.from(await packed.bytes(100)).toString();
        expect(["", "x", "y", "harmless"]).toContain(text);
      }
      const written = writeArchive(
        kernel,
        c.root,
        "/race",
        once(tarOf(file("dir/new", "x"), file("dir/deep/er", "y"))),
        NOTHING,
      );
      await written.catch(() => undefined); // It may fail, but not get out.
    }
  } finally {
    flip.kill();
    await flip.exited;
  }
  expect(readdirSync(c.outside)).toEqual(["secret"]);
});

test("a pipe in a file's place does not block, a vanished name is left out", async () => {
  using c = container();
  mkdirSync(`${c.root}/q`);
  for (let at = 0; at < 20; at++) writeFileSync(`${c.root}/q/f${at}`, Buffer.alloc(200_000, "x"));
  Bun.spawnSync(["mkfifo", `${c.root}/fifo`]);
  const { tar } = readArchive(kernel, c.root, "/q");
  const reader = tar.getReader();
  const first = await reader.read();
  renameSync(`${c.root}/fifo`, `${c.root}/q/f9`);
  Bun.spawnSync(["rm", `${c.root}/q/f8`]);
  const rest: Uint8Array[] = [first.value ?? new Uint8Array()];
  for (let next = await reader.read(); !next.done; next = await reader.read())
    rest.push(next.value);
  const seen: string[] = [];
  for await (const { entry } of new TarReader(once(Buffer.concat(rest)))) {
    seen.push(`${entry.type} ${entry.name}`);
  }
  expect(seen).toContain("fifo q/f9");
  expect(seen).not.toContain("file q/f8");
  expect(seen.length).toBe(20);
});
