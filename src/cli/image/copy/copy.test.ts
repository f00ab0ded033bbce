import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLayout, writeLayout } from "#cli/image/copy/layout.ts";
import { parsePlace } from "#cli/image/copy/places.ts";
import { digestOf } from "#spec/image/digest.ts";
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from "#spec/image/media-type.ts";

describe("places", () => {
  const cases: readonly (readonly [text: string, place: object])[] = [
    ["alpine:3", { kind: "registry", name: "alpine:3" }],
    ["localhost:5000/a@sha256:x", { kind: "registry", name: "localhost:5000/a@sha256:x" }],
    ["docker://alpine", { kind: "registry", name: "alpine" }],
    ["store:app:1", { kind: "store", name: "app:1" }],
    ["oci:dir/x", { kind: "oci", path: "dir/x" }],
    ["oci:dir/x:1.2", { kind: "oci", path: "dir/x", name: "1.2" }],
    ["oci:dir/x:r.io:5000/app:1.2", { kind: "oci", path: "dir/x", name: "r.io:5000/app:1.2" }],
    ["oci-archive:a:b.tar", { kind: "oci-archive", path: "a:b.tar" }],
    ["docker-archive:x.tar", { kind: "docker-archive", path: "x.tar" }],
  ];
  for (const [text, place] of cases) {
    test(text, () => expect(parsePlace(text)).toMatchObject(place));
  }
  test("what is not known is refused with what is", () => {
    expect(() => parsePlace("dir:x")).toThrow('"dir:" is not supported: use docker://NAME');
    expect(() => parsePlace("oci:")).toThrow("names nothing");
  });
});

describe("layouts", () => {
  let root = "";
  beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "naru-layout-"))));
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const write = (path: string, blobs: readonly string[], manifests: readonly object[]): void => {
    for (const blob of blobs) {
      const file = join(path, "blobs/sha256", digestOf(blob).slice(7));
      Bun.spawnSync(["mkdir", "-p", join(path, "blobs/sha256")]);
      writeFileSync(file, blob);
    }
    writeFileSync(join(path, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  };
  const describeBlob = (mediaType: string, text: string) => ({
    mediaType,
    digest: digestOf(text),
    size: text.length,
  });
  const imageOf = (layer: string): [manifest: string, config: string, layer: string] => {
    const config = `{"of":"${layer}"}`;
    const manifest = JSON.stringify({
      schemaVersion: 2,
      config: describeBlob(OCI_CONFIG, config),
      layers: [describeBlob(OCI_LAYER, layer)],
    });
    return [manifest, config, layer];
  };
  const named = (manifest: string, name: string) => ({
    ...describeBlob(OCI_MANIFEST, manifest),
    annotations: { "org.opencontainers.image.ref.name": name },
  });
  const [one, two] = [imageOf("one"), imageOf("two")];
  const blobsOf = (path: string): string[] => readdirSync(join(path, "blobs/sha256")).toSorted();
  const hexOf = (...texts: string[]): string[] =>
    texts.map((text) => digestOf(text).slice(7)).toSorted();

  test("one image of several goes over; what is there stays; names are merged", async () => {
    const [from, to] = [join(root, "from"), join(root, "to")];
    write(from, [...one, ...two], [named(one[0], "1"), named(two[0], "2")]);
    expect(await writeLayout(to, "a", readLayout(from, "1", undefined))).toBe(3);
    expect(blobsOf(to)).toEqual(hexOf(...one));
    expect(await writeLayout(to, "a", readLayout(from, "1", undefined))).toBe(0);
    expect(await writeLayout(to, "b", readLayout(from, "2", undefined))).toBe(3);
    const index = JSON.parse(await Bun.file(join(to, "index.json")).text()) as {
      manifests: unknown[];
    };
    expect(index.manifests).toEqual([named(one[0], "a"), named(two[0], "b")]);
    expect(existsSync(join(to, "oci-layout"))).toBe(true);
  });

  test("what refers to the image goes along when it is asked for, and is no image of the layout", async () => {
    const [from, to] = [join(root, "from"), join(root, "to")];
    const signed = JSON.stringify({
      schemaVersion: 2,
      config: describeBlob("application/vnd.oci.empty.v1+json", "{}"),
      layers: [describeBlob("text/plain", "signature")],
      subject: describeBlob(OCI_MANIFEST, one[0]),
    });
    const referrer = describeBlob(OCI_MANIFEST, signed);
    write(from, [...one, signed, "{}", "signature"], [named(one[0], "1"), referrer]);
    expect(await writeLayout(to, "a", readLayout(from, undefined, undefined))).toBe(3);
    expect(await writeLayout(to, "a", readLayout(from, undefined, undefined, true))).toBe(3);
    const index = JSON.parse(await Bun.file(join(to, "index.json")).text()) as {
      manifests: unknown[];
    };
    expect(index.manifests).toEqual([named(one[0], "a"), referrer]);
  });

  const readAll = async (path: string, name?: string): Promise<number> => {
    let bytes = 0;
    for await (const chunk of readLayout(path, name, "x:1")) bytes += chunk.length;
    return bytes;
  };

  test("what a layout lists beside images is in nobody's way", async () => {
    const [from, to] = [join(root, "from"), join(root, "to")];
    const other = describeBlob("application/vnd.example+toml", "not = json");
    write(from, [...one, "not = json"], [other, named(one[0], "1")]);
    expect(await writeLayout(to, "a", readLayout(from, undefined, undefined))).toBe(3);
    expect(await writeLayout(to, "b", readLayout(from, "1", undefined, true))).toBe(0);
  });

  test("what is not there, or not one, is told", async () => {
    write(root, [...one, ...two], [named(one[0], "1"), named(two[0], "2")]);
    expect(readAll(root)).rejects.toThrow("several images: name one of 1, 2");
    expect(readAll(root, "3")).rejects.toThrow('has no image "3": it has 1, 2');
    expect(readAll(join(root, "no"))).rejects.toThrow("is no OCI layout");
    await readAll(root, "1");
    unlinkSync(join(root, "blobs/sha256", digestOf("one").slice(7)));
    const failed = readAll(root, "1");
    expect(failed).rejects.toThrow(`lacks the blob ${digestOf("one")}`);
    await failed.catch(() => undefined);
  });

  test("a blob that arrives damaged is not kept", async () => {
    const [from, to] = [join(root, "from"), join(root, "to")];
    write(from, one, [named(one[0], "1")]);
    writeFileSync(join(from, "blobs/sha256", digestOf("one").slice(7)), "0ne");
    const failed = writeLayout(to, "1", readLayout(from, "1", undefined));
    expect(failed).rejects.toThrow("arrived damaged");
    await failed.catch(() => undefined);
    expect(blobsOf(to)).not.toContain(digestOf("one").slice(7));
    expect(existsSync(join(to, "index.json"))).toBe(false);
  });
});
