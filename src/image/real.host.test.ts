/** With the real kernel, the real snapshot store and skopeo as the second opinion. Needs root. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FakeImages, createFakeImages, failureOf } from "#image/images.fake.ts";
import { createKernel } from "#kernel/real.ts";
import { silentLogger } from "#lib/log.ts";
import { NO_XATTRS } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";
import type { LayerForm } from "#snapshot/layer-form.ts";
import { mountIndexed } from "#snapshot/layer-mounts.ts";
import { FORMS } from "#snapshot/store-fixture.fake.ts";
import { openSnapshots } from "#snapshot/store.ts";
import { type Digest, digestOf, hexOf } from "#spec/image/digest.ts";

const isRoot = process.geteuid?.() === 0;
const hasSkopeo = Bun.which("skopeo") !== null;
const SNAPSHOT_WORKER = new URL("../snapshot/worker-entry.fake.ts", import.meta.url).pathname;
const signal = new AbortController().signal;

let fake: FakeImages;
let work = "";
let form: LayerForm | undefined;
const create = (): FakeImages =>
  createFakeImages((root) =>
    openSnapshots({
      root,
      kernel: createKernel(),
      log: silentLogger,
      layerForm: form,
      workerCommand: [process.execPath, SNAPSHOT_WORKER],
    }),
  );
beforeEach(() => {
  if (!isRoot) return;
  work = mkdtempSync(join(tmpdir(), "naru-image-work-"));
  fake = create();
});
afterEach(async () => {
  if (!isRoot) return;
  await fake.dependencies.layers.idle();
  fake[Symbol.dispose]();
  rmSync(work, { recursive: true, force: true });
});

const fileOf = (name: string, bytes: Uint8Array, mode = 0o644): Uint8Array => {
  const header = tarHeader({
    type: "file",
    name,
    linkName: "",
    mode,
    uid: 1,
    gid: 2,
    userName: "",
    groupName: "",
    size: bytes.length,
    mtime: { seconds: 1000, nanoseconds: 0 },
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: NO_XATTRS,
  });
  return Buffer.concat([header, bytes, tarPadding(bytes.length)]);
};
const file = (name: string, text: string, mode?: number): Uint8Array =>
  fileOf(name, Buffer.from(text), mode);
const layerOf = (...files: Uint8Array[]): Uint8Array => Buffer.concat([...files, TAR_END]);

const BASE = layerOf(
  file("etc/a", "a"),
  file("bin/suid", "s", 0o4755),
  file("big", "x".repeat(9_000_000)),
);
const TOP = layerOf(file("etc/.wh.a", ""), file("etc/b", "b"));

const archive = (
  layers: Uint8Array[],
  tag: string,
  blobs = layers,
  names = blobs.map((_, at) => `l${at}`),
): Uint8Array => {
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) },
  });
  return layerOf(
    ...blobs.map((blob, at) => fileOf(`l${at}`, blob)),
    file("config.json", config),
    file(
      "manifest.json",
      JSON.stringify([{ Config: "config.json", RepoTags: [tag], Layers: names }]),
    ),
  );
};

const source = async function* (bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
};
const saveTo = async (path: string, name: string): Promise<void> => {
  using saved = await fake.images.save([name], signal);
  await Bun.write(path, new Response(saved.stream(signal)));
};
const skopeo = (...argv: string[]): string => {
  const run = Bun.spawnSync(["skopeo", "--insecure-policy", ...argv], {
    stdout: "pipe",
    stderr: "pipe",
  });
  if (run.exitCode !== 0) throw new Error(run.stderr.toString());
  return run.stdout.toString();
};

/** Reads a layer's own files, without those below it. */
const withLayer = (chainId: Digest, read: (path: string) => void): void => {
  const { layers } = fake.dependencies;
  const path = layers.layerPath(chainId);
  if (layers.layer(chainId)?.form === "directory") {
    read(path);
    return;
  }
  const kernel = createKernel();
  const fd = mountIndexed(kernel, path);
  try {
    read(kernel.fdPath(fd));
  } finally {
    kernel.close(fd);
  }
};

for (const layerForm of FORMS)
  describe(`in the form ${layerForm}`, () => {
    beforeAll(() => void (form = layerForm));
    afterAll(() => void (form = undefined));

    test.if(isRoot)(
      "plain layers are unpacked while they stream, compressed ones after",
      async () => {
        for (const blobs of [
          [BASE, TOP],
          [Bun.gzipSync(Buffer.from(BASE)), TOP],
          [BASE, Bun.zstdCompressSync(TOP)],
        ]) {
          const [id] = await fake.images.load(source(archive([BASE, TOP], "app:1", blobs)), {
            signal,
          });
          const { chainId } = fake.images.get(id!);
          withLayer(chainId!, (top) => {
            expect(readdirSync(join(top, "etc")).toSorted()).toEqual(["a", "b"]);
            expect(statSync(join(top, "etc/a")).isCharacterDevice()).toBe(true);
          });
          withLayer(digestOf(BASE), (base) => {
            expect(statSync(join(base, "bin/suid")).mode & 0o7777).toBe(0o4755);
            expect(statSync(join(base, "etc/a"))).toMatchObject({
              uid: 1,
              gid: 2,
              mtimeMs: 1_000_000,
            });
          });
          expect(fake.dependencies.layers.layer(chainId!)?.form).toBe(layerForm);
          expect(readdirSync(join(fake.root, "content/ingest"))).toEqual([]);
          expect(fake.images.get(id!).sizeBytes).toBe(9_000_003);
          await fake.images.remove("app:1", { isForced: false, isParentKept: false });
          expect(fake.dependencies.layers.layers()).toEqual([]);
          expect([...fake.content.walk()]).toEqual([]);
        }
      },
    );

    test.if(isRoot)("the same layer twice in one image", async () => {
      const [id] = await fake.images.load(source(archive([BASE, BASE, TOP], "app:1")), { signal });
      expect(fake.dependencies.layers.layers()).toHaveLength(3);
      expect(fake.images.get(id!).sizeBytes).toBe(18_000_005);
    });

    test.if(isRoot)("the same file as two layers, on one that takes longer", async () => {
      const layers = [BASE, TOP, TOP];
      const blobs = [Bun.zstdCompressSync(BASE), TOP];
      await fake.images.load(source(archive(layers, "app:1", blobs, ["l0", "l1", "l1"])), {
        signal,
      });
      expect(fake.dependencies.layers.layers()).toHaveLength(3);
    });

    test.if(isRoot)("a layer with another sum, or a hostile one, leaves nothing", async () => {
      const hostile = layerOf(file("../../escape", "x".repeat(9_000_000)));
      const cases: [Uint8Array, RegExp][] = [
        [archive([BASE], "app:1", [TOP]), /has the sum/],
        [archive([TOP, BASE], "app:1", [TOP, TOP]), /has the sum/],
        [archive([hostile], "app:1"), /escape/],
        [archive([BASE], "app:1").subarray(0, 5_000_000), /cut short/],
      ];
      for (const [bytes, message] of cases) {
        expect(await failureOf(fake.images.load(source(bytes), { signal }))).toMatch(message);
        expect(fake.dependencies.layers.layers()).toEqual([]);
        expect([...fake.content.walk()]).toEqual([]);
        expect(readdirSync(join(fake.root, "content/ingest"))).toEqual([]);
      }
    });

    test.if(isRoot)("import unpacks while it stores", async () => {
      const id = await fake.images.import(source(Bun.gzipSync(Buffer.from(BASE))), {
        signal,
        reference: "base:1",
      });
      const record = fake.images.get(id);
      expect(record.chainId).toBe(digestOf(BASE));
      withLayer(record.chainId!, (path) => {
        expect(statSync(join(path, "big")).size).toBe(9_000_000);
      });
      expect(fake.content.readText(digestOf(BASE), 1e8)).toBe(Buffer.from(BASE).toString());
      writeFileSync(join(work, "root.tar"), BASE);
      expect(
        await fake.images.import(
          { path: join(work, "root.tar") },
          { signal, createdAt: record.createdAt },
        ),
      ).toBe(id);
    });

    test.if(isRoot && hasSkopeo)(
      "skopeo reads what was saved, and what skopeo writes loads",
      async () => {
        await fake.images.load(source(archive([BASE, TOP], "reg.example/app:1")), { signal });
        const saved = join(work, "saved.tar");
        await saveTo(saved, "reg.example/app:1");
        const layers = [digestOf(BASE), digestOf(TOP)];
        const docker = JSON.parse(skopeo("inspect", `docker-archive:${saved}`)) as {
          Layers: string[];
        };
        expect(docker.Layers).toEqual(layers as string[]);
        const oci = JSON.parse(skopeo("inspect", `oci-archive:${saved}`)) as { Layers: string[] };
        expect(oci.Layers).toEqual(layers as string[]);
        expect(skopeo("list-tags", `docker-archive:${saved}`)).toContain("reg.example/app:1");

        skopeo("copy", "-q", `docker-archive:${saved}`, `dir:${work}/dir`);
        expect(readFileSync(join(work, "dir", hexOf(digestOf(TOP)))).equals(TOP)).toBe(true);
        const id = fake.images.resolve("reg.example/app:1");
        for (const [format, name] of [
          ["docker-archive", "docker.io/library/again:1"],
          ["oci-archive", "docker.io/library/oci:1"],
        ]) {
          const path = join(work, `${format}.tar`);
          skopeo("copy", "-q", `docker-archive:${saved}`, `${format}:${path}:${name}`);
          const other = create();
          const loaded = await other.images.load({ path }, { signal });
          expect(other.images.get(name!).config.rootfs.diff_ids).toEqual(layers);
          expect(other.images.get(loaded[0]!).config.rootfs.diff_ids).toEqual(
            fake.images.get(id).config.rootfs.diff_ids,
          );
          await other.dependencies.layers.idle();
          other[Symbol.dispose]();
        }
      },
    );
  });
