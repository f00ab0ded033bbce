import { describe, expect, test } from "bun:test";
import {
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { silentLogger } from "#lib/log.ts";
import { openSnapshots } from "#snapshot/store.ts";
import { FORMS, WORKER, testStore } from "#snapshot/store-fixture.fake.ts";
import { directory, file, tarOf } from "#snapshot/tar-fixture.fake.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { digestOf } from "#spec/image/digest.ts";

const tree = (root: string): string[] =>
  readdirSync(root, { recursive: true })
    .map((name) => name.toString())
    .toSorted();

for (const form of FORMS) {
  describe(`layers in the form ${form}`, () => {
    test("layers stack as the image says: whiteouts, opaque directories, replaced kinds", async () => {
      await using t = testStore(form);
      const top = await t.stack(
        [
          directory("./", { mode: 0o700, uid: 3 }),
          file("keep", "1"),
          file("gone", "1"),
          file("dir/old", "1"),
          file("opaque/old", "1"),
          file("both/old", "1"),
          file("becomes-dir", "1"),
          file("becomes-file/x", "1"),
        ],
        [
          file(".wh.gone"),
          file("dir/.wh.old"),
          file("dir/new", "2"),
          file("opaque/.wh..wh..opq"),
          file("opaque/new", "2"),
          file(".wh.both"),
          file("both/new", "2"),
          directory("becomes-dir"),
          file("becomes-dir/in", "2"),
          file("becomes-file", "2"),
        ],
        [file("keep", "3")],
      );
      const { merged, lowers } = t.store.prepare("c1", top);
      expect(lowers.length).toBe(3);
      expect(t.store.mount("c1")).toBe(merged);
      expect(t.store.mount("c1")).toBe(merged);
      expect(tree(merged)).toEqual([
        "becomes-dir",
        "becomes-dir/in",
        "becomes-file",
        "both",
        "both/new",
        "dir",
        "dir/new",
        "keep",
        "opaque",
        "opaque/new",
      ]);
      expect(readFileSync(`${merged}/keep`, "utf8")).toBe("3");
      // The root's owner and mode come up from the lowest layer, whose tar had an entry for it.
      expect([statSync(merged).mode & 0o7777, statSync(merged).uid]).toEqual([0o700, 3]);
      using view = t.store.view(top);
      expect(tree(view.path)).toEqual(tree(merged));
      expect(() => writeFileSync(`${view.path}/x`, "")).toThrow("EROFS");
      writeFileSync(`${merged}/written`, "12345");
      expect(await t.store.usage("c1")).toEqual({ sizeBytes: 5, files: 1 });
      expect(t.store.chain(top).map((layer) => layer.sizeBytes)).toEqual([1, 5, 7]);
    });

    test("a layer with an opaque root hides all below it", async () => {
      await using t = testStore(form);
      const top = await t.stack(
        [file("below")],
        [file(".wh..wh..opq"), file("mine")],
        [file("above")],
      );
      using view = t.store.view(top);
      expect(tree(view.path)).toEqual(["above", "mine"]);
      expect(t.store.prepare("c", top).lowers.length).toBe(2);
    });

    test("views of one layer, and of nothing", async () => {
      await using t = testStore(form);
      const one = await t.stack([file("f"), file(".wh.nothing")]);
      using view = t.store.view(one);
      expect(tree(view.path)).toEqual(["f"]);
      using empty = t.store.view(undefined);
      expect(tree(empty.path)).toEqual([]);
      t.store.prepare("scratch", undefined);
      expect(tree(t.store.mount("scratch"))).toEqual([]);
    });

    test("a stack too long for one page of options mounts all the same", async () => {
      await using t = testStore(form);
      const layers = Array.from({ length: 60 }, (_, at) => [
        file(`f${at}`, String(at)),
        file("last", String(at)),
      ]);
      const top = await t.stack(...layers.slice(0, 3));
      // The other layers are made by committing: quicker than 57 children.
      let parent = top;
      for (let at = 3; at < 60; at++) {
        t.store.prepare(`step-${at}`, parent);
        writeFileSync(`${t.store.paths(`step-${at}`).upper}/f${at}`, String(at));
        const diffId = digestOf(`layer ${at}`);
        parent = (await t.store.commitActive(`step-${at}`, { diffId, sizeBytes: 1, tarBytes: 1 }))
          .chainId;
      }
      t.store.prepare("c", parent);
      const merged = t.store.mount("c");
      expect(tree(merged).length).toBe(61);
      using view = t.store.view(parent);
      expect(tree(view.path).length).toBe(61);
    });

    test("a new daemon finds everything again and sweeps what is half made", async () => {
      await using t = testStore(form);
      const top = await t.stack([file("a")], [file("b")]);
      t.store.prepare("running", top);
      const merged = t.store.mount("running");
      t.store.prepare("stopped", top);
      const leaked = t.store.view(top).path;
      mkdirSync(`${t.root}/ingest/half/diff`, { recursive: true });
      mkdirSync(`${t.root}/active/half/upper`, { recursive: true });
      mkdirSync(`${t.root}/layers/junk`);
      const before = t.store.chain(top);
      const store = t.reopen();
      expect(store.chain(top)).toEqual(before);
      expect(store.layers().length).toBe(2);
      expect(
        store
          .actives()
          .map((a) => `${a.id} ${a.parent}`)
          .toSorted(),
      ).toEqual([`running ${top}`, `stopped ${top}`]);
      expect(existsSync(leaked)).toBe(false);
      expect(t.kernel.mountsUnder(t.root)).toEqual([merged]);
      expect(store.mount("running")).toBe(merged);
      await store.idle();
      for (const place of ["ingest", "trash", "views"])
        expect(readdirSync(`${t.root}/${place}`)).toEqual([]);
      expect(readdirSync(`${t.root}/layers`).length).toBe(2);
      expect(readdirSync(`${t.root}/active`).toSorted()).toEqual(["running", "stopped"]);
      store.remove("running");
      store.remove("running");
      expect(t.kernel.mountsUnder(t.root)).toEqual([]);
      expect(existsSync(merged)).toBe(false);
    });

    test("a layer that was not flushed is trusted by the same kernel only", async () => {
      await using t = testStore(form);
      const top = await t.stack([file("a")]);
      await t.store.idle();
      const path = `${t.root}/layers/${top.slice(7)}/layer.json`;
      const flushed = readFileSync(path, "utf8");
      expect(flushed).not.toContain("unflushed");
      const unflushed = { ...(JSON.parse(flushed) as object), unflushedBootId: "another-boot" };
      writeFileSync(path, JSON.stringify(unflushed));
      expect(t.reopen().layers()).toEqual([]);
    });

    test("calls for one layer share one run; a wrong sum leaves nothing", async () => {
      await using t = testStore(form);
      const [lower, upper] = [tarOf(file("a", "a")), tarOf(file("b", "b"))];
      await Bun.write(`${t.directory}/lower.tar`, lower);
      await Bun.write(`${t.directory}/upper.tar`, upper);
      const [lowerId, upperId] = [digestOf(lower), digestOf(upper)];
      const chain = chainIds([lowerId, upperId]);
      const source = (name: string): { path: string } => ({ path: `${t.directory}/${name}.tar` });
      // Both at once: the upper one waits for the lower one.
      const made = await Promise.all([
        t.store
          .unpack({ parent: chain[0], source: source("upper"), diffId: upperId })
          .catch(String),
        t.store.unpack({ parent: undefined, source: source("lower"), diffId: lowerId }),
        t.store.unpack({ parent: undefined, source: source("lower"), diffId: lowerId }),
      ]);
      expect(made[1]).toBe(made[2]!);
      expect(t.store.layers().map((layer) => layer.chainId)).toEqual(chain);
      // There already: the source is not even opened.
      const again = await t.store.unpack({
        parent: chain[0],
        source: source("none"),
        diffId: upperId,
      });
      expect(again.chainId).toBe(chain[1]!);
      const wrong = t.store.unpack({ parent: chain[1], source: source("upper"), diffId: lowerId });
      expect(wrong).rejects.toThrow("it is damaged or was changed");
      await wrong.catch(() => undefined);
      const orphan = t.store.unpack({ parent: upperId, source: source("upper"), diffId: upperId });
      expect(orphan).rejects.toThrow("is not unpacked");
      await orphan.catch(() => undefined);
      const missing = t.store.unpack({
        parent: undefined,
        source: source("none"),
        diffId: upperId,
      });
      expect(missing).rejects.toThrow("none.tar");
      await missing.catch(() => undefined);
      await t.store.idle();
      expect(readdirSync(`${t.root}/ingest`)).toEqual([]);
      const stream = new Response(upper).body;
      const streamed = await t.store.unpack({ parent: undefined, source: { stream: stream! } });
      expect(streamed.diffId).toBe(upperId);
    });

    test("an unpack that is called off ends its child and leaves nothing", async () => {
      await using t = testStore(form);
      const abort = new AbortController();
      const endless = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(tarOf(file("a", "a")).subarray(0, 700)),
      });
      const running = t.store.unpack({
        parent: undefined,
        source: { stream: endless },
        signal: abort.signal,
      });
      setTimeout(() => abort.abort(), 200);
      expect(running).rejects.toThrow("abort");
      await running.catch(() => undefined);
      await t.store.idle();
      expect(readdirSync(`${t.root}/ingest`)).toEqual([]);
    });

    test("a layer that something stands on cannot be removed", async () => {
      await using t = testStore(form);
      const top = await t.stack([file("a")], [file("b")]);
      const lowest = t.store.chain(top)[1]!.chainId;
      t.store.prepare("c", top);
      expect(() => t.store.removeLayer(lowest)).toThrow("stands on it");
      expect(() => t.store.removeLayer(top)).toThrow('"c" stands on it');
      t.store.remove("c");
      const view = t.store.view(top);
      expect(() => t.store.removeLayer(top)).toThrow("stands on it");
      view[Symbol.dispose]();
      t.store.removeLayer(top);
      t.store.removeLayer(lowest);
      t.store.removeLayer(lowest);
      expect(t.store.layers()).toEqual([]);
      expect(() => t.store.chain(top)).toThrow("is not unpacked here");
      expect(() => t.store.prepare("c", top)).toThrow("is not unpacked here");
      await t.store.idle();
      expect(readdirSync(`${t.root}/trash`)).toEqual([]);
      expect(readdirSync(`${t.root}/layers`)).toEqual([]);
    });

    test("a view of a tree leaves it whole for those who have it mounted", async () => {
      await using t = testStore(form);
      t.store.prepare("c", await t.stack([directory("d"), file("d/f")]));
      const merged = t.store.mount("c");
      const view = t.store.viewActive("c");
      writeFileSync(`${merged}/d/f`, "changed"); // Copied up by way of the working directory.
      writeFileSync(`${view.path}/new`, "");
      expect(existsSync(`${merged}/new`)).toBe(true);
      view[Symbol.dispose]();
      expect(readdirSync(`${t.root}/views`)).toEqual([]);
      expect(readFileSync(`${merged}/d/f`, "utf8")).toBe("changed");
      t.store.viewActive("c");
      t.store.unmount("c");
      t.reopen();
      expect(t.kernel.mountsUnder(`${t.root}/views`)).toEqual([]);
      expect(readdirSync(`${t.root}/views`)).toEqual([]);
    });

    test("a tree that somebody unmounted by hand is mounted again", async () => {
      await using t = testStore(form);
      t.store.prepare("c", await t.stack([file("f")]));
      const merged = t.store.mount("c");
      t.kernel.unmount(merged);
      expect(tree(merged)).toEqual([]);
      expect(tree(t.store.mount("c"))).toEqual(["f"]);
    });

    test("a store on an overlay says that it needs another place", async () => {
      await using t = testStore(form);
      t.store.prepare("outer", undefined);
      const root = `${t.store.mount("outer")}/inner`;
      const options = { kernel: t.kernel, workerCommand: WORKER, log: silentLogger };
      const inner = openSnapshots({ ...options, root });
      inner.prepare("c", undefined);
      expect(() => inner.mount("c")).toThrow("choose a data root on ext4, xfs or btrfs");
    });

    test("very deep trees are counted or refused, and removed", async () => {
      await using t = testStore(form);
      t.store.prepare("c", undefined);
      const deep = (count: number): void => {
        let fd = t.kernel.openInRoot(t.store.paths("c").upper, ".", constants.O_DIRECTORY);
        for (let at = 0; at < count; at++) {
          t.kernel.mkdirAt(fd, "d", 0o755);
          const child = t.kernel.openAt(fd, "d", constants.O_DIRECTORY);
          t.kernel.close(fd);
          fd = child;
        }
        t.kernel.mknodAt(fd, "f", 0o100644, 0, 0);
        t.kernel.close(fd);
      };
      deep(1900);
      expect(await t.store.usage("c")).toEqual({ sizeBytes: 0, files: 1 });
      Bun.spawnSync(["rm", "-r", `${t.store.paths("c").upper}/d`]);
      deep(2100);
      expect(t.store.usage("c")).rejects.toThrow("more than 2000 directories deep");
      t.store.remove("c");
      await t.store.idle();
      expect(readdirSync(`${t.root}/trash`)).toEqual([]);
    });

    test("names and roots that would break out are refused", async () => {
      await using t = testStore(form);
      for (const id of ["", "..", "a/b", "-x", "a,b"]) {
        expect(() => t.store.prepare(id, undefined)).toThrow("cannot name a snapshot");
      }
      t.store.prepare("c", undefined);
      expect(() => t.store.prepare("c", undefined)).toThrow("already");
      expect(() => t.store.mount("none")).toThrow('no writable layer "none"');
      t.store.unmount("none");
      const root = `${t.directory}/a:b`;
      expect(() =>
        openSnapshots({ root, kernel: t.kernel, workerCommand: WORKER, log: silentLogger }),
      ).toThrow("choose another data root");
    });
  });
}

test("a tree that was mounted without waiting for the disk can be mounted again", async () => {
  await using t = testStore("directory");
  const { merged, work } = t.store.prepare("c1", undefined);
  t.store.mount("c1", true);
  writeFileSync(`${merged}/file`, "kept");
  t.store.unmount("c1");
  expect(existsSync(`${work}/work/incompat`)).toBe(true);
  t.store.mount("c1", true);
  expect(readFileSync(`${merged}/file`, "utf8")).toBe("kept");
  t.store.unmount("c1");
  t.store.mount("c1");
  expect(readFileSync(`${merged}/file`, "utf8")).toBe("kept");
});
