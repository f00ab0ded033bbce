import { expect, test } from "bun:test";
import { attestOptionsOf } from "#api/docker/buildkit/attest-options.ts";
import {
  annotationsFor,
  checkExporter,
  imageOutputOf,
} from "#api/docker/buildkit/export-options.ts";
import { parsePlatform } from "#spec/image/platform.ts";

const output = (attributes: Record<string, string>, type = "image") =>
  imageOutputOf({ type, attributes });

test("annotations go where they were asked to", () => {
  const given = output({
    "annotation.a": "1",
    "annotation-manifest[linux/aarch64].a": "2",
    "annotation-index.b": "3",
    "annotation-manifest-descriptor.c": "4",
  });
  const [amd, arm] = ["linux/amd64", "linux/arm64"].map(parsePlatform);
  expect(annotationsFor(given, "manifest", amd)).toEqual({ a: "1" });
  expect(annotationsFor(given, "manifest", arm)).toEqual({ a: "2" });
  expect(annotationsFor(given, "index")).toEqual({ b: "3" });
  expect(annotationsFor(given, "manifest-descriptor", amd)).toEqual({ c: "4" });
  expect(given.isPlain).toBe(false);
});

test("formats have the defaults of their exporters", () => {
  expect(output({ name: "a,b:1", push: "true" })).toMatchObject({
    names: ["a", "b:1"],
    isPushed: true,
    isStored: true,
    isPlain: true,
    format: { compression: "gzip", isOci: true, isForced: false },
  });
  expect(output({}, "docker").format.isOci).toBe(false);
  expect(output({ store: "false" }).isStored).toBe(false);
});

test("what an exporter has not is refused by name", () => {
  const check = (type: string, attributes: Record<string, string>) => () =>
    checkExporter({ type, attributes });
  expect(check("image", { "dangling-name-prefix": "x" })).toThrow(
    'option "dangling-name-prefix=x"',
  );
  expect(check("docker", { tar: "false" })).toThrow("use type=oci");
  expect(check("image", { compression: "estargz" })).toThrow("compression=estargz");
  expect(check("image", { push: "perhaps" })).toThrow('"push=perhaps"');
  expect(check("azure", {})).toThrow('exporter "azure" is not supported');
  expect(check("moby", { name: "x", "annotation.a": "b" })).not.toThrow();
});

test("what clients attest by default has a place where an image is pushed", () => {
  const inline = (type: string, attributes: Record<string, string>) =>
    imageOutputOf({ type, attributes }).hasInline;
  expect(inline("image", {})).toBe(false);
  expect(inline("image", { push: "true" })).toBe(true);
  expect(inline("image", { push: "true", "attestation-inline": "false" })).toBe(false);
  expect(inline("oci", {})).toBe(false);
  expect(inline("oci", { "attestation-inline": "true" })).toBe(true);
});

test("attestations: asked for, by default, off, unknown", () => {
  const asked = (provenance: string) => attestOptionsOf({ "attest:provenance": provenance });
  expect(asked("mode=max,version=v1,builder-id=me").provenance).toEqual({
    mode: "max",
    version: "v1",
    builderId: "me",
    isReproducible: false,
  });
  // Clients ask by themselves where nobody said anything.
  expect(asked("mode=min,inline-only=true")).toMatchObject({ isProvenanceInline: true });
  expect(asked("mode=min")).toMatchObject({ isProvenanceInline: false });
  expect(asked("disabled=true").provenance).toBeUndefined();
  expect(attestOptionsOf({ "attest:sbom": "" }).hasSbom).toBe(true);
  expect(() => asked("mode=most")).toThrow('"mode=most"');
  expect(() => asked("color=red")).toThrow('option "color"');
  expect(() => attestOptionsOf({ "attest:other": "" })).toThrow('"attest:other"');
  expect(() => attestOptionsOf({ "attest:sbom": "generator=a/b" })).toThrow('scanner "a/b"');
});
