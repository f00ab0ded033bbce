import { expect, test } from "bun:test";

import { amd64Variant, machinePlatform } from "#image/machine-platform.ts";
import { chooseManifest } from "#image/pull-manifest.ts";
import { parseDigest } from "#spec/image/digest.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { ImageIndex } from "#spec/image/manifest.ts";
import { HOST_PLATFORM, type Platform, parsePlatform } from "#spec/image/platform.ts";

const V2 = "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3";
const V3 = `${V2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave`;
const V4 = `${V3} avx512f avx512bw avx512cd avx512dq avx512vl`;
const cpuinfo = (flags: string): string => `processor\t: 0\nflags\t\t: fpu ${flags} ht\nbugs\t:\n`;

test("the level of a processor: all flags of it and of those below", () => {
  expect(amd64Variant(cpuinfo(""))).toBeUndefined();
  expect(amd64Variant(cpuinfo(V2))).toBe("v2");
  expect(amd64Variant(cpuinfo(V3))).toBe("v3");
  expect(amd64Variant(cpuinfo(V4))).toBe("v4");
  expect(amd64Variant(cpuinfo(V4.replace(" avx2", "")))).toBe("v2");
  expect(amd64Variant("")).toBeUndefined();
  expect({ ...machinePlatform(), variant: undefined }).toEqual({
    ...HOST_PLATFORM,
    variant: undefined,
  });
});

const entry = (platform: string, digit: string): Descriptor => ({
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  digest: parseDigest(`sha256:${digit.repeat(64)}`),
  size: 1,
  platform: parsePlatform(platform),
});

test("of images for several levels of amd64 the highest that the machine runs is taken", () => {
  const index = (...manifests: Descriptor[]): ImageIndex => ({
    kind: "index",
    mediaType: "",
    annotations: {},
    manifests,
  });
  const [base, v2, v3] = [
    entry("linux/amd64", "1"),
    entry("linux/amd64/v2", "2"),
    entry("linux/amd64/v3", "3"),
  ];
  const on = (variant: string): Platform => ({ os: "linux", architecture: "amd64", variant });
  expect(chooseManifest(index(base, v2, v3), undefined, on("v4"))).toBe(v3);
  expect(chooseManifest(index(v3, base, v2), undefined, on("v2"))).toBe(v2);
  expect(chooseManifest(index(v2), undefined, on("v3"))).toBe(v2);
  // Who names amd64 gets what every amd64 runs.
  expect(chooseManifest(index(v3, base), parsePlatform("linux/amd64"), on("v4"))).toBe(base);
  expect(() => chooseManifest(index(v3), undefined, on("v2"))).toThrow(
    /no matching manifest for linux\/amd64 in the manifest list entries: it has linux\/amd64\/v3/,
  );
});
