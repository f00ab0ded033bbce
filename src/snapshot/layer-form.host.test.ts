/** A tree with everything that file systems have, through GNU tar and a store, in both forms. */
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  rmSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { NaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { createKernel } from "#kernel/real.ts";
import { FORMS, type TestStore, WORKER, testStore } from "#snapshot/store-fixture.fake.ts";
import { directory, file, hardLink, tarOf } from "#snapshot/tar-fixture.fake.ts";
import { IndexWriter } from "#snapshot/index-writer.ts";
import { openSnapshots } from "#snapshot/store.ts";
import { digestOf } from "#spec/image/digest.ts";

const sh = (cwd: string, script: string): string => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["bash", "-ec", script], { cwd });
  if (exitCode !== 0) throw new Error(stderr.toString());
  return stdout.toString();
};

/** Everything but the sizes of directories and the numbers of inodes. */
const LIST = String.raw`
  find . ! -type d -printf '%P %y %m %U %G %s %T@ %n %l\n' | sort
  find . -mindepth 1 -type d -printf '%P %y %m %U %G %T@ %n\n' | sort
  find . -type f -print0 | sort -z | xargs -0 sha256sum
  find . -type c -o -type b | sort | xargs -r stat -c '%n %t %T'
`;

const odd = (root: string): void => {
  mkdirSync(root);
  const long = `${"d".repeat(255)}/${"나".repeat(85)}`;
  const deep = Array.from({ length: 120 }, (_, at) => `deep-${at}`).join("/");
  sh(
    root,
    `
    mkdir -p '${long}' ${deep} empty sticky many; chmod 1777 sticky; touch '${long}/${"x".repeat(255)}'
    echo deep > ${deep}/file; : > zero; printf x > one; head -c 511 /dev/urandom > b511
    head -c 512 /dev/urandom > b512; head -c 513 /dev/urandom > b513; head -c 3000000 /dev/urandom > large
    ln large large2; ln large sticky/large3; ln -s ${"t".repeat(200)}/${"u".repeat(200)} wide
    ln -s ${"v/".repeat(400)}end longer; ln -s /etc/passwd absolute; ln -s . dot
    mknod null c 1 3; mknod big b 259 70000; mkfifo pipe; chmod 6755 one; chown 70000:80000 b511
    truncate -s 50M hole; printf begin | dd of=hole conv=notrunc status=none
    printf end | dd of=hole bs=1 seek=20000000 conv=notrunc status=none
    truncate -s 9M only-a-hole; touch -d '1960-01-02 03:04:05.678' old; touch -d '2400-01-01' late
    for i in $(seq 3000); do : > many/$i-name; done; touch $'new\\nline' ' blank' '!first' '~last' $'raw\\xff\\xfe'
    `,
  );
  const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
  const attributes: readonly (readonly [string, string, Uint8Array])[] = [
    ["one", "user.colour", Buffer.from("red")],
    ["empty", "user.nothing", Buffer.alloc(0)],
    ["one", "trusted.t", Buffer.from("1")],
    ["b512", "security.capability", capability],
    ["b513", "user.big", Buffer.alloc(3000, "b")],
    // u::rw-,u:1234:rw-,g::r--,m::rw-,o::r-- as acl(5) stands on disk.
    ["one", "system.posix_acl_access", Buffer.from(ACL, "hex")],
  ];
  for (const [name, key, value] of attributes) kernel.setXattr(`${root}/${name}`, key, value);
};

const kernel = createKernel();
const ACL =
  "02000000" +
  "01000600ffffffff" +
  "02000600d2040000" +
  "04000400ffffffff" +
  "10000600ffffffff" +
  "20000400ffffffff";

const attributesOf = (root: string): string[] =>
  ["one", "empty", "b512", "b513", "large", "deep-0"].flatMap((name) => {
    const path = `${root}/${name}`;
    if (!existsSync(path)) return [];
    const keys = kernel.listXattrs(path).toSorted();
    return keys.map(
      (key) => `${name} ${key} ${Buffer.from(kernel.getXattr(path, key) ?? []).toString("hex")}`,
    );
  });

const listOf = (root: string): string[] => [...sh(root, LIST).split("\n"), ...attributesOf(root)];

const shown = async (t: TestStore, form: string, tar: string): Promise<string[]> => {
  const layer = await t.store.unpack({ parent: undefined, source: { path: tar } });
  expect(layer.form as string).toBe(form);
  using view = t.store.view(layer.chainId);
  return listOf(view.path);
};

for (const form of FORMS) {
  describe(`layers in the form ${form}`, () => {
    for (const format of ["pax", "gnu"]) {
      test(`an odd tree is shown as it was, by a tar in the format ${format}`, async () => {
        await using t = testStore(form);
        const root = `${t.directory}/odd`;
        odd(root);
        const hasAttributes = format === "pax";
        // That format has neither attributes nor parts of seconds nor times before 1970.
        if (!hasAttributes) {
          sh(root, "rm -r one b512 b513 empty; find . -exec touch -h -d @1000000000 {} +");
        }
        const flags = hasAttributes ? "--xattrs --xattrs-include='*' --acls" : "";
        const tar = `${t.directory}/odd.tar`;
        sh(root, `tar --format=${format} ${flags} --sparse -cf ${tar} .`);
        expect(await shown(t, form, tar)).toEqual(listOf(root));
      });
    }

    test("files are read at any place, mapped and executed", async () => {
      await using t = testStore(form);
      const tar = `${t.directory}/bin.tar`;
      sh("/", `tar -chf ${tar} bin/busybox usr/bin/bash usr/bin/python3 2>/dev/null || true`);
      const { chainId } = await t.store.unpack({ parent: undefined, source: { path: tar } });
      t.store.prepare("c", chainId);
      const merged = t.store.mount("c");
      const inside = readFileSync(`${merged}/usr/bin/bash`);
      expect(inside.equals(readFileSync("/usr/bin/bash"))).toBe(true);
      expect(sh(merged, "./usr/bin/bash -c 'echo ran'")).toBe("ran\n");
      // Copied up by a write, the rest of the file comes along.
      sh(merged, "printf XXXX | dd of=usr/bin/bash bs=1 seek=100000 conv=notrunc status=none");
      const changed = readFileSync(`${merged}/usr/bin/bash`);
      expect(changed.subarray(100_004).equals(inside.subarray(100_004))).toBe(true);
      expect(changed.subarray(100_000, 100_004).toString()).toBe("XXXX");
    });

    test("one file system for whoever asks: devices and numbers stay over a copy-up", async () => {
      await using t = testStore(form);
      const top = await t.stack([directory("d"), file("d/f", "f"), file("g", "g")], [file("h")]);
      t.store.prepare("c", top);
      const merged = t.store.mount("c");
      const of = (name: string): string => {
        const { dev, ino } = statSync(`${merged}/${name}`);
        return `${dev} ${ino}`;
      };
      const before = of("d/f");
      expect(new Set(["d/f", "g", "h"].map((name) => statSync(`${merged}/${name}`).dev)).size).toBe(
        1,
      );
      writeFileSync(`${merged}/d/f`, "changed");
      expect(of("d/f")).toBe(before);
    });

    test("a directory of a hundred thousand", async () => {
      await using t = testStore(form);
      const entries = Array.from({ length: 100_000 }, (_, at) => file(`many/${at}-file`));
      await Bun.write(`${t.directory}/many.tar`, tarOf(...entries));
      const source = { path: `${t.directory}/many.tar` };
      const { chainId } = await t.store.unpack({ parent: undefined, source });
      using view = t.store.view(chainId);
      expect(readdirSync(`${view.path}/many`).length).toBe(100_000);
      for (const at of [0, 1, 777, 50_000, 99_999]) {
        expect(statSync(`${view.path}/many/${at}-file`).size).toBe(0);
      }
    });

    test("a layer on another that hides, replaces and links", async () => {
      await using t = testStore(form);
      const top = await t.stack(
        [file("a/f", "1"), file("b/f", "1"), file("c", "1"), directory("./", { mode: 0o701 })],
        [file("a/.wh.f"), file("b/.wh..wh..opq"), file("b/g", "2"), hardLink("b/h", "b/g")],
        [file("top", "3")],
      );
      using view = t.store.view(top);
      expect(sh(view.path, "find . -type f | sort")).toBe("./b/g\n./b/h\n./c\n./top\n");
      expect(statSync(view.path).mode & 0o7777).toBe(0o701);
      expect(statSync(`${view.path}/b/g`).nlink).toBe(2);
      const tar = `${t.directory}/again.tar`;
      const { diffId, tarBytes } = await t.store.layerTar(top, tar);
      expect([diffId, tarBytes]).toEqual([digestOf(readFileSync(tar)), statSync(tar).size]);
    });

    test("a damaged layer is found, and repaired from its tar", async () => {
      await using t = testStore(form);
      const tar = tarOf(file("a", "content".repeat(100)), file("b", "b"));
      const path = `${t.directory}/source.tar`;
      await Bun.write(path, tar);
      const { chainId } = await t.store.unpack({ parent: undefined, source: { path } });
      const source = { path };
      expect(await t.store.verifyLayer(chainId, { source, repairs: false })).toBe("good");
      const files = t.store.layerPath(chainId);
      const damages =
        form === "directory"
          ? [`printf x > ${files}/a`, `rm ${files}/b`]
          : [
              `printf x | dd of=${files}/layer.tar bs=1 seek=600 conv=notrunc status=none`,
              `printf x | dd of=${files}/layer.erofs bs=1 seek=1400 conv=notrunc status=none`,
              `rm ${files}/layer.erofs`,
            ];
      for (const damage of damages) {
        sh("/", damage);
        expect(await t.store.verifyLayer(chainId, { repairs: true })).toBe("damaged");
        expect(await t.store.verifyLayer(chainId, { source, repairs: false })).toBe("damaged");
        expect(await t.store.verifyLayer(chainId, { source, repairs: true })).toBe("repaired");
        expect(await t.store.verifyLayer(chainId, { source, repairs: false })).toBe("good");
        using view = t.store.view(chainId);
        expect(readFileSync(`${view.path}/a`, "utf8")).toBe("content".repeat(100));
      }
      expect(t.reopen().layer(chainId)).toEqual(t.store.layer(chainId));
    });
  });
}

test("both forms stand in one stack, and what runs on them goes on after a restart", async () => {
  await using t = testStore("erofs");
  const lower = await t.stack([file("a", "lower"), file("b", "lower")]);
  t.store.prepare("build", lower);
  writeFileSync(`${t.store.mount("build")}/b`, "made here");
  const diff = await t.store.seal("build");
  const middle = await t.store.commitActive("build", diff);
  const tar = tarOf(file("c", "top"), file(".wh.a"));
  await Bun.write(`${t.directory}/top.tar`, tar);
  const source = { path: `${t.directory}/top.tar` };
  const top = await t.store.unpack({ parent: middle.chainId, source });
  expect(t.store.chain(top.chainId).map(({ form }) => form)).toEqual([
    "erofs",
    "directory",
    "erofs",
  ]);
  t.store.prepare("c", top.chainId);
  const merged = t.store.mount("c");
  const store = t.reopen();
  expect(store.mount("c")).toBe(merged);
  expect(readdirSync(merged).toSorted()).toEqual(["b", "c"]);
  expect(readFileSync(`${merged}/b`, "utf8")).toBe("made here");
  // Nothing but the container's own tree is in the host's table of mounts.
  expect(t.kernel.mountsUnder(t.root)).toEqual([merged]);
  expect(() => store.removeLayer(top.chainId)).toThrow("stands on it");
  store.remove("c");
  store.removeLayer(top.chainId);
  await store.idle();
  expect(existsSync(`${t.root}/layers/${top.chainId.slice(7)}`)).toBe(false);
});

test("a kernel that cannot mount tars: new layers are directories, indexed ones go", async () => {
  await using t = testStore();
  const top = await t.stack([file("a", "a")]);
  const without = (errno: string): Kernel => ({
    ...t.kernel,
    mountDetached: () => {
      throw new NaruError("internal", "no such file system", { details: { errno } });
    },
  });
  const options = { root: t.root, workerCommand: WORKER, log: silentLogger };
  // The same kernel is not tried twice: only another one, after a boot, has to show what it can.
  expect(openSnapshots({ ...options, kernel: without("ENODEV") }).layer(top)?.form).toBe("erofs");
  writeFileSync(`${t.root}/probed`, "another boot");
  // For want of a descriptor nothing is thrown away.
  const poor = openSnapshots({ ...options, kernel: without("EMFILE") });
  expect([poor.newLayers().form, poor.layer(top)?.form]).toEqual(["directory", "erofs"]);
  const store = openSnapshots({ ...options, kernel: without("ENODEV") });
  expect(store.newLayers()).toEqual({
    form: "directory",
    reason: "this kernel cannot mount tars: mounting EROFS from files: no such file system",
  });
  // Its image makes it again from the blob.
  expect(store.layer(top)).toBeUndefined();
  const source = { path: `${t.directory}/layer.tar` };
  const again = await store.unpack({ parent: undefined, source });
  expect([again.chainId, again.form]).toEqual([top, "directory"]);
  using view = store.view(top);
  expect(readFileSync(`${view.path}/a`, "utf8")).toBe("a");
  expect(() =>
    openSnapshots({ ...options, kernel: without("ENODEV"), layerForm: "erofs" }),
  ).toThrow('layers cannot be kept in the form "erofs"');
  expect(readdirSync(`${t.root}/ingest`)).toEqual([]);
});

test("a layer that no index can show is unpacked", async () => {
  await using t = testStore("erofs");
  const big = { xattrs: { "user.big": "x".repeat(4000), "user.bigger": "y".repeat(66_000) } };
  const path = `${t.directory}/odd.tar`;
  await Bun.write(path, tarOf(file("plain", "plain"), file("odd", "odd", big)));
  const unpacked = t.store.unpack({ parent: undefined, source: { path } });
  // ext4 has no room for it either: the reason is then the file system's.
  const message = await unpacked.then(
    ({ form }) => form,
    (error: Error) => error.message,
  );
  expect(message).toMatch(/^directory$|tar entry "odd"/);
  const holes = `${t.directory}/holes.tar`;
  await Bun.write(holes, sparseTar());
  const layer = await t.store.unpack({ parent: undefined, source: { path: holes } });
  expect(layer.form).toBe("directory");
  using view = t.store.view(layer.chainId);
  expect(readFileSync(`${view.path}/holes`, "latin1")).toBe(
    `${"\0".repeat(100)}data${"\0".repeat(896)}`,
  );
  await t.store.idle();
  expect(readdirSync(t.store.layerPath(layer.chainId))).toEqual(["holes"]);
  expect(readdirSync(dirname(t.store.layerPath(layer.chainId))).toSorted()).toEqual([
    "diff",
    "layer.json",
  ]);
});

/** pax, sparse 0.1: four bytes at 100 of a thousand. */
const sparseTar = (): Uint8Array => {
  const records = ["GNU.sparse.size=1000", "GNU.sparse.numblocks=1", "GNU.sparse.map=100,4"]
    .map((text) => `${text.length + 4} ${text}\n`)
    .join("");
  const bare = tarOf(file("holes", "data"));
  const extended = Buffer.from(tarOf(file("pax", records)).subarray(0, 1024));
  extended.write("x", 156, "latin1");
  const sum = [...extended.subarray(0, 512)].reduce(
    (total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte),
    0,
  );
  extended.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return Buffer.concat([extended, bare]);
};

test("a tar that is also a blob is one file, and is counted where the blob is", async () => {
  await using t = testStore("erofs");
  const blob = `${t.directory}/blob`;
  const tar = tarOf(file("a", "a".repeat(5000)));
  await Bun.write(blob, tar);
  const stagedAt = `${t.directory}/staged`;
  using writer = new IndexWriter({ directory: stagedAt, tar: blob, maxEntries: 10 });
  writer.push(tar);
  const { entries: _entries, skippedXattrs: _skipped, ...written } = writer.finish()!;
  const diffId = digestOf(tar);
  const staged = { ...written, directory: stagedAt, form: "erofs", parent: undefined, diffId };
  const { chainId } = t.store.adopt({ ...staged, form: "erofs" });
  const path = t.store.layerPath(chainId);
  const indexBytes = statSync(`${path}/layer.erofs`).size;
  expect(t.store.layerBytes()).toBe(indexBytes);
  expect(statSync(`${path}/layer.tar`).ino).toBe(statSync(blob).ino);
  rmSync(blob);
  expect(t.store.layerBytes()).toBe(indexBytes + tar.length);
  using view = t.store.view(chainId);
  expect(readFileSync(`${view.path}/a`, "utf8")).toBe("a".repeat(5000));
});
