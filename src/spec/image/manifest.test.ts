import { expect, test } from "bun:test";
import { chainIds } from "#spec/image/chain-id.ts";
import { historyWithLayers, parseImageConfig } from "#spec/image/config.ts";
import { type Digest, digestOf, isDigest, parseDigest } from "#spec/image/digest.ts";
import { checkArchivePath, parseArchiveManifest } from "#spec/image/docker-archive.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { OCI_CONFIG, OCI_MANIFEST } from "#spec/image/media-type.ts";
import { formatPlatform, parsePlatform, platformScore } from "#spec/image/platform.ts";

const A = digestOf("a");
const B = digestOf("b");

test("digests are validated, not guessed", () => {
  expect(parseDigest(A)).toBe(A);
  expect(isDigest(`sha512:${"0".repeat(128)}`)).toBe(true);
  expect(() => parseDigest("md5:00")).toThrow('unsupported digest algorithm "md5"');
  expect(() => parseDigest("sha256:00")).toThrow("invalid checksum digest length");
  expect(() => parseDigest(A.toUpperCase().replace("SHA256", "sha256"))).toThrow("digest format");
});

test("a chain id depends on all layers below", () => {
  expect(chainIds([A, B])).toEqual([A, digestOf(`${A} ${B}`)]);
  expect(chainIds([])).toEqual([]);
});

test("manifests and indexes are told apart; one that is both is refused", () => {
  const config = { mediaType: OCI_CONFIG, digest: A, size: 1 };
  const text = JSON.stringify({ schemaVersion: 2, config, layers: [] });
  expect(parseManifest(text).kind).toBe("manifest");
  expect(parseManifest(text, OCI_MANIFEST).mediaType).toBe(OCI_MANIFEST);
  expect(parseManifest(JSON.stringify({ manifests: [] })).kind).toBe("index");
  expect(() => parseManifest(JSON.stringify({ manifests: [], config }))).toThrow("ambiguous");
  expect(() => parseManifest('{"schemaVersion":1,"fsLayers":[]}')).toThrow("schema 1");
  expect(() => parseManifest(text, "text/plain")).toThrow(
    'unsupported manifest media type "text/plain"',
  );
  expect(() => parseManifest("[")).toThrow("not JSON");
  const bad = JSON.stringify({ config: { ...config, size: -1 }, layers: [] });
  expect(() => parseManifest(bad)).toThrow("manifest.config.size");
});

test("configs keep what they carry and refuse wrong types", () => {
  const config = parseImageConfig(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      "moby.x": 1,
      config: { Cmd: ["a"] },
      rootfs: { type: "layers", diff_ids: [A, B] },
      history: [
        { created_by: "x" },
        { empty_layer: true },
        { created_by: "y" },
        { created_by: "z" },
      ],
    }),
  );
  expect(config.config?.Cmd).toEqual(["a"]);
  expect(historyWithLayers(config).map((item) => item.layerIndex)).toEqual([
    0,
    undefined,
    1,
    undefined,
  ]);
  expect(() => parseImageConfig('{"rootfs":{"type":"layers","diff_ids":["x"]}}')).toThrow(
    "diff_ids[0]",
  );
  const list = '{"config":{"Cmd":"a"},"rootfs":{"type":"layers"}}';
  expect(() => parseImageConfig(list)).toThrow("config.Cmd");
});

test("platforms have one spelling", () => {
  expect(parsePlatform("linux/aarch64/v8")).toEqual({ os: "linux", architecture: "arm64" });
  expect(formatPlatform(parsePlatform("linux/armhf"))).toBe("linux/arm/v7");
  expect(parsePlatform("x86_64").architecture).toBe("amd64");
  expect(() => parsePlatform("linux/a/b/c")).toThrow("invalid platform");
  const arm64 = parsePlatform("linux/arm64");
  expect(platformScore(arm64, arm64)).toBeGreaterThan(
    platformScore(parsePlatform("linux/arm/v7"), arm64),
  );
  expect(platformScore(parsePlatform("linux/amd64/v3"), parsePlatform("linux/amd64"))).toBe(0);
  expect(platformScore(parsePlatform("windows/amd64"), parsePlatform("linux/amd64"))).toBe(0);
});

test("archive paths stay inside", () => {
  expect(checkArchivePath("./blobs//x")).toBe("blobs/x");
  for (const path of ["", "/etc", "a/../b", "a\0"])
    expect(() => checkArchivePath(path)).toThrow("invalid path");
  const [manifest] = parseArchiveManifest(
    '[{"Config":"c.json","RepoTags":null,"Layers":["l/layer.tar"]}]',
  );
  expect(manifest).toEqual({ Config: "c.json", RepoTags: [], Layers: ["l/layer.tar"] });
  expect(() => parseArchiveManifest('[{"Config":"../c","Layers":[]}]')).toThrow("invalid path");
  const digest: Digest = A;
  expect(digest.length).toBe(71);
});
