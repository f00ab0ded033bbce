import { beforeEach, expect, test } from "bun:test";
import { type Database, openDatabase } from "#database/database.ts";
import { type ImageRows, IMAGE_MIGRATIONS, createImageRows } from "#metadata/images.ts";
import { LEASE_MIGRATIONS, createLeases } from "#metadata/leases.ts";
import { OCI_LAYER, OCI_LAYER_GZIP } from "#spec/image/media-type.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

const LAYER = digestOf("layer");
const configText = (name: string): string =>
  JSON.stringify({
    architecture: "amd64",
    os: "linux",
    author: name,
    rootfs: { type: "layers", diff_ids: [LAYER] },
  });

let database: Database;
let rows: ImageRows;
beforeEach(() => {
  database = openDatabase(":memory:", [...IMAGE_MIGRATIONS, ...LEASE_MIGRATIONS]);
  rows = createImageRows(database);
});

const put = (name: string, parent?: Digest): Digest => {
  const text = configText(name);
  const id = digestOf(text);
  const parentPart = parent === undefined ? {} : { parent };
  rows.put({ id, configText: text, sizeBytes: 5, storedAt: "2026-01-01T00:00:00Z", ...parentPart });
  return id;
};

test("memory and database say the same after a reload", () => {
  const a = put("a");
  const b = put("b", a);
  rows.setReference(
    { repository: "docker.io/library/x", tag: "1", imageId: a },
    "2026-01-02T00:00:00Z",
  );
  rows.setReference({ repository: "docker.io/library/x", digest: LAYER, imageId: a });
  rows.putLayer(LAYER, 7, [
    { digest: digestOf("gz"), mediaType: OCI_LAYER_GZIP, sizeBytes: 3 },
    { digest: LAYER, mediaType: OCI_LAYER, sizeBytes: 9 },
  ]);
  for (const view of [rows, createImageRows(database)]) {
    expect(view.get(a)?.config.author).toBe("a");
    expect(view.get(a)?.lastTaggedAt).toBe("2026-01-02T00:00:00Z");
    expect(view.children(a)).toEqual([b]);
    expect(view.findReference("docker.io/library/x", "1")).toBe(a);
    expect(view.findReference("docker.io/library/x", undefined, LAYER)).toBe(a);
    expect(view.references(a).map((row) => row.tag)).toEqual(["1", undefined]);
    expect(view.layerSize(LAYER)).toBe(7);
    expect(view.layerBlobs(LAYER).map((blob) => blob.digest)).toEqual([LAYER, digestOf("gz")]);
    expect(view.layersOfBlob(digestOf("gz"))).toEqual([LAYER]);
  }
});

test("a tag moves from one image to another", () => {
  const [a, b] = [put("a"), put("b")];
  const name = { repository: "docker.io/library/x", tag: "latest" };
  rows.setReference({ ...name, imageId: a });
  rows.setReference({ ...name, imageId: b });
  expect(rows.references(a)).toEqual([]);
  expect(rows.references()).toEqual([{ ...name, imageId: b }]);
  rows.deleteReference(name);
  expect(rows.findReference(name.repository, "latest")).toBeUndefined();
  expect(createImageRows(database).references()).toEqual([]);
});

test("deleting an image takes its names along", () => {
  const a = put("a");
  rows.setReference({ repository: "docker.io/library/x", tag: "1", imageId: a });
  rows.delete(a);
  expect(rows.references()).toEqual([]);
  expect(createImageRows(database).references()).toEqual([]);
});

test("a transaction that throws is forgotten by memory too", () => {
  const work = (): void => {
    put("a");
    throw new Error("no");
  };
  expect(() => rows.transaction(work)).toThrow("no");
  expect([...rows.list()]).toEqual([]);
});

test("a second put keeps what the first knew", () => {
  const a = put("a");
  put("b", a);
  const again = put("b");
  expect(rows.get(again)?.parent).toBe(a);
  expect(rows.withPrefix(again.slice(7, 19), 2)).toEqual([again]);
  expect(rows.withPrefix("", 2)).toHaveLength(2);
});

test("a lease holds until released or expired", () => {
  const leases = createLeases(database);
  {
    using lease = leases.acquire([{ kind: "blob", resource: LAYER }]);
    lease.add({ kind: "layer", resource: "chain" });
    expect(leases.isHeld("blob", LAYER)).toBe(true);
    expect(leases.isHeld("layer", "chain")).toBe(true);
    expect(leases.isHeld("layer", LAYER)).toBe(false);
  }
  expect(leases.isHeld("blob", LAYER)).toBe(false);
  leases.acquire([{ kind: "blob", resource: LAYER }], 0);
  expect(leases.isHeld("blob", LAYER)).toBe(false);
  expect(leases.sweep()).toBe(1);
  leases.acquire([{ kind: "layer", resource: "chain" }]);
  leases.clear();
  expect(leases.isHeld("layer", "chain")).toBe(false);
});
