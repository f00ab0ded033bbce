import { expect, test } from "bun:test";

import { leastCpuMs } from "#lib/cpu-time.fake.ts";
import { parseChunkRange, parseRange } from "#spec/distribution/byte-range.ts";
import { readManifestDocument } from "#spec/distribution/manifest-document.ts";
import { parseManifestReference, parseRepositoryName } from "#spec/distribution/name.ts";

const isName = (text: string): boolean => {
  try {
    return parseRepositoryName(text) === text;
  } catch {
    return false;
  }
};

const NAMES: readonly [string, boolean][] = [
  ["a", true],
  ["a/b-c/d.e/f_g/h__i/j--k", true],
  ["a".repeat(255), true],
  ["a".repeat(256), false],
  ["", false],
  ["A", false],
  ["a/", false],
  ["/a", false],
  ["a//b", false],
  ["a..b", false],
  ["a___b", false],
  ["a-", false],
  ["../a", false],
  ["a b", false],
  ["ä", false],
  ["a\n", false],
];
for (const [name, isRight] of NAMES) {
  test(`name ${JSON.stringify(name.slice(0, 20))}`, () => expect(isName(name)).toBe(isRight));
}

test("a name cannot keep the parser busy", async () => {
  const spentMs = await leastCpuMs(5, () => {
    for (const text of ["a-".repeat(127), "a_".repeat(127), `${"a".repeat(254)}!`]) isName(text);
  });
  expect(spentMs).toBeLessThan(50);
});

test("references", () => {
  expect(parseManifestReference("v1.0_x-y")).toEqual({ kind: "tag", tag: "v1.0_x-y" });
  expect(parseManifestReference(`sha256:${"0".repeat(64)}`).kind).toBe("digest");
  for (const wrong of [".a", "-a", "", "a/b", "a".repeat(129), "sha256:0", "md5:00"]) {
    expect(() => parseManifestReference(wrong)).toThrow();
  }
});

test("ranges", () => {
  expect(parseRange("bytes=0-0", 5)).toEqual({ first: 0, last: 0 });
  expect(parseRange("bytes=-9", 5)).toEqual({ first: 0, last: 4 });
  expect(parseRange("bytes=-0", 5)).toBe("unsatisfiable");
  expect(parseRange("bytes=3-1", 5)).toBe("unsatisfiable");
  expect(parseRange("bytes=0-", 0)).toBe("unsatisfiable");
  for (const other of [undefined, "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,3-4"]) {
    expect(parseRange(other, 5)).toBeUndefined();
  }
  expect(parseChunkRange("0-1")).toEqual({ first: 0, last: 1 });
  expect(parseChunkRange("1-0")).toBeNull();
  expect(parseChunkRange("x")).toBeNull();
});

const DIGEST = `sha256:${"1".repeat(64)}`;
const OCI = "application/vnd.oci.image.manifest.v1+json";

test("foreign layers need not be here, and a manifest's kind is its config's", () => {
  const blob = (mediaType: string) => ({ mediaType, digest: DIGEST, size: 1 });
  const text = JSON.stringify({
    schemaVersion: 2,
    config: blob("application/x-config"),
    layers: [
      blob("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
      blob("application/vnd.oci.image.layer.nondistributable.v1.tar"),
      blob("application/x-layer"),
    ],
  });
  const document = readManifestDocument(text, OCI);
  expect(document.blobs.map((item) => item.mediaType)).toEqual([
    "application/x-config",
    "application/x-layer",
  ]);
  expect(document.artifactType).toBe("application/x-config");
});
