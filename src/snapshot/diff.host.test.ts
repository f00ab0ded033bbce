import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { FORMS, testStore } from "#snapshot/store-fixture.fake.ts";
import { directory, file, symlink } from "#snapshot/tar-fixture.fake.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { digestOf } from "#spec/image/digest.ts";

const tree = (root: string): string[] =>
  readdirSync(root, { recursive: true })
    .map((name) => name.toString())
    .toSorted();

for (const form of FORMS) {
  describe(`layers in the form ${form}`, () => {
    test("changes as docker diff lists them", async () => {
      await using t = testStore(form);
      const top = await t.stack([
        file("etc/passwd", "root"),
        file("etc/group", "root"),
        file("same", "same"),
        file("mode", "m"),
        file("owner", "m"),
        file("dir/a", "a"),
        file("dir/sub/b", "b"),
        file("gone/x/y", "y"),
        file("replaced/old", "o"),
        file("replaced/kept", "o"),
        file("to-dir", "f"),
        file("to-file/f", "f"),
        file("moved/in/f", "f"),
        file("touched/f", "f"),
        symlink("link", "same"),
      ]);
      t.store.prepare("c", top);
      const merged = t.store.mount("c");
      const at = (name: string): string => `${merged}/${name}`;
      writeFileSync(at("etc/passwd"), "changed");
      chmodSync(at("mode"), 0o600);
      chownSync(at("owner"), 5, 5);
      writeFileSync(at("dir/sub/new"), "n");
      rmSync(at("gone"), { recursive: true });
      rmSync(at("replaced"), { recursive: true });
      mkdirSync(at("replaced"));
      writeFileSync(at("replaced/kept"), "other");
      writeFileSync(at("replaced/new"), "new");
      rmSync(at("to-dir"));
      mkdirSync(at("to-dir"));
      writeFileSync(at("to-dir/in"), "");
      rmSync(at("to-file"), { recursive: true });
      writeFileSync(at("to-file"), "now a file");
      const moved = Bun.spawn(["mv", at("moved"), at("renamed")]);
      await moved.exited;
      writeFileSync(at("touched/temporary"), "");
      rmSync(at("touched/temporary"));
      mkdirSync(at("added/deep"), { recursive: true });
      rmSync(at("link"));
      mkdirSync(at("proc"));
      mkdirSync(at("dev"));
      writeFileSync(at("etc/hosts"), "");
      mkdirSync(at("data"));
      mkdirSync(at("run/secrets"), { recursive: true });
      // Opened for writing, not written: copied up, but no change.
      Bun.spawnSync(["sh", "-c", `exec 3<>${at("same")}`]);
      const hiddenPaths = ["/proc", "/dev", "/etc/hosts", "/run/secrets", "/dev/pts"];
      const changes = await t.store.changes("c", { hiddenPaths });
      expect(changes.map(({ path, kind }) => `${"CAD"[kind]} ${path}`)).toEqual([
        "A /added",
        "A /added/deep",
        "A /data",
        "C /dir",
        "C /dir/sub",
        "A /dir/sub/new",
        "C /etc",
        "C /etc/passwd",
        "D /gone",
        "D /link",
        "C /mode",
        "D /moved",
        "C /owner",
        "A /renamed",
        "A /renamed/in",
        "A /renamed/in/f",
        "C /replaced",
        "C /replaced/kept",
        "A /replaced/new",
        "D /replaced/old",
        "C /to-dir",
        "A /to-dir/in",
        "C /to-file",
      ]);
      expect(t.kernel.mountsUnder(t.root)).toEqual([merged]);
    });

    test("an active snapshot's tar, unpacked on the same parent, gives the same tree", async () => {
      await using t = testStore(form);
      const top = await t.stack([
        file("a/old", "old"),
        file("opaque/x", "x"),
        file("b", "b"),
        file("etc/keep", "k"),
      ]);
      t.store.prepare("c", top);
      const merged = t.store.mount("c");
      await Bun.spawn([
        "sh",
        "-ec",
        `cd ${merged}; rm a/old b; rm -r opaque; mkdir opaque; echo new > opaque/new; mkdir plain; echo p > plain/p
     echo linked > l1; ln l1 plain/l2; chmod 6711 l1; chown 9:10 l1; ln -s /nowhere s; mkfifo p; mknod n c 1 5
     touch -d @1000000000.5 plain/p; touch "$(printf 'raw\\377')"; mkdir dev; : > etc/hosts`,
      ]).exited;
      t.kernel.setXattr(`${merged}/plain/p`, "user.note", Buffer.from("kept"));
      const socket = Bun.listen({ unix: `${merged}/socket`, socket: { data: () => undefined } });
      const options = { hiddenPaths: ["/dev", "/etc/hosts"] };
      const [path, second] = [`${t.directory}/diff.tar`, `${t.directory}/second.tar`];
      const diff = await t.store.diffTar("c", path, options);
      socket.stop();
      expect(statSync(path).size).toBe(diff.tarBytes);
      expect(digestOf(readFileSync(path))).toBe(diff.diffId);
      expect((await t.store.diffTar("c", second, options)).diffId).toBe(diff.diffId);
      const names = Bun.spawnSync(["tar", "-tf", path]).stdout.toString().split("\n");
      expect(names).toEqual([
        "a/",
        "a/.wh.old",
        ".wh.b",
        "l1",
        "n",
        "opaque/",
        "opaque/.wh..wh..opq",
        "opaque/new",
        "p",
        "plain/",
        "plain/l2",
        "plain/p",
        "raw\\377",
        "s",
        "",
      ]);
      const layer = await t.store.unpack({ parent: top, source: { path }, diffId: diff.diffId });
      expect(layer.sizeBytes).toBe(diff.sizeBytes);
      using view = t.store.view(layer.chainId);
      const list = (root: string): string =>
        Bun.spawnSync([
          "sh",
          "-c",
          `cd ${root}; find . -mindepth 1 ! -name socket ! -name dev ! -name hosts -printf '%p %y %m %U %G %l\n' | sort`,
        ]).stdout.toString();
      expect(list(view.path)).toBe(list(merged));
      expect(
        Buffer.from(t.kernel.getXattr(`${view.path}/plain/p`, "user.note") ?? []).toString(),
      ).toBe("kept");
      t.store.prepare("again", layer.chainId);
      // The socket is not in the layer, nothing else is missing.
      expect(await t.store.changes("again")).toEqual([]);
    });

    test("committing an active snapshot moves it, and equals unpacking its tar", async () => {
      await using t = testStore(form);
      const top = await t.stack([file("d/lower", "1"), file("gone", "1")]);
      t.store.prepare("build", top);
      const merged = t.store.mount("build");
      writeFileSync(`${merged}/d/new`, "22");
      rmSync(`${merged}/gone`);
      const diff = await t.store.diffTar("build", `${t.directory}/d.tar`);
      const layer = await t.store.commitActive("build", diff);
      expect(layer.chainId).toBe(chainIds([t.store.layer(top)!.diffId, diff.diffId])[1]!);
      expect([t.store.active("build"), existsSync(merged)]).toEqual([undefined, false]);
      expect(t.kernel.mountsUnder(t.root)).toEqual([]);
      using view = t.store.view(layer.chainId);
      expect(tree(view.path)).toEqual(["d", "d/lower", "d/new"]);
      // The same changes once more: the layer is there already.
      t.store.prepare("twin", top);
      expect(await t.store.commitActive("twin", diff)).toEqual(layer);
      expect(t.store.actives()).toEqual([]);
    });

    test("export gives the merged tree, running or stopped", async () => {
      await using t = testStore(form);
      const top = await t.stack([file("a", "a"), file("gone", "g"), directory("d")]);
      t.store.prepare("c", top);
      const merged = t.store.mount("c");
      writeFileSync(`${merged}/d/big`, Buffer.alloc(3_000_000, "x"));
      rmSync(`${merged}/gone`);
      const listOf = async (): Promise<string> => {
        const child = Bun.spawn(["tar", "-tv"], { stdin: t.store.export("c"), stdout: "pipe" });
        const text = await child.stdout.text();
        return text.replaceAll(/ +/g, " ");
      };
      const running = await listOf();
      expect(running.split("\n").map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
        "-rw-r--r-- 0/0 1",
        "drwxr-xr-x 0/0 0",
        "-rw-r--r-- 0/0 3000000",
        "",
      ]);
      t.store.unmount("c");
      expect(await listOf()).toBe(running);
      expect(t.kernel.mountsUnder(t.root)).toEqual([]);
      const cancelled = t.store.export("c");
      const reader = cancelled.getReader();
      await reader.read();
      await reader.cancel();
      for (let tries = 0; tries < 3000 && t.kernel.mountsUnder(t.root).length > 0; tries++) {
        await Bun.sleep(10);
      }
      expect(t.kernel.mountsUnder(t.root)).toEqual([]);
    });

    test("a real part of this machine's tree survives export and unpack", async () => {
      await using t = testStore(form);
      const path = `${t.directory}/host.tar`;
      Bun.spawnSync([
        "tar",
        "-cf",
        path,
        "-C",
        "/",
        "etc",
        "usr/share/zoneinfo",
        "usr/share/perl5",
      ]);
      const layer = await t.store.unpack({ parent: undefined, source: { path } });
      const list = (root: string): string =>
        Bun.spawnSync([
          "sh",
          "-c",
          `cd ${root}; find etc usr/share/zoneinfo usr/share/perl5 -type s -o -printf '%p %y %m %U %G %Ts %l\n' | sort | sha256sum`,
        ]).stdout.toString();
      using shown = t.store.view(layer.chainId);
      expect(list(shown.path)).toBe(list("/"));
      t.store.prepare("c", layer.chainId);
      const exported = `${t.directory}/export.tar`;
      await Bun.write(exported, new Response(t.store.export("c")));
      const again = await t.store.unpack({ parent: undefined, source: { path: exported } });
      using shownAgain = t.store.view(again.chainId);
      expect(list(shownAgain.path)).toBe(list("/"));
      expect(Bun.spawnSync(["tar", "-tf", exported]).exitCode).toBe(0);
    });
  });
}
