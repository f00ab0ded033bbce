import { expect, test } from "bun:test";
import { exportOf, importOf, importsIn } from "#api/docker/buildkit/cache-options.ts";
import { digestOf } from "#spec/image/digest.ts";

const to = (type: string, attributes: Record<string, string> = {}) =>
  exportOf({ type, attributes });

test("exports: where to, how much, in what form", () => {
  expect(to("inline")).toEqual({ kind: "inline" });
  expect(
    to("registry", {
      ref: "r.example/cache:1",
      mode: "max",
      compression: "zstd",
      "compression-level": "99",
    }),
  ).toEqual({
    kind: "registry",
    reference: "r.example/cache:1",
    isErrorIgnored: false,
    options: {
      mode: "max",
      isImageManifest: true,
      format: { compression: "zstd", level: 22, isForced: false, isOci: true },
    },
  });
  expect(to("local", { dest: "/x", "ignore-error": "true" })).toMatchObject({
    kind: "local",
    directory: "/x",
    isErrorIgnored: true,
  });
});

test("registries that know Docker's types alone get no OCI manifest", () => {
  const options = { ref: "r.example/cache:1", "oci-mediatypes": "false" };
  expect(to("registry", options)).toMatchObject({ options: { isImageManifest: false } });
  const both = { ...options, "image-manifest": "true" };
  expect(() => to("registry", both)).toThrow("OCI mediatypes are required for image-manifest");
});

test("what is not there is refused by name", () => {
  for (const type of ["gha", "s3", "azblob"]) {
    expect(() => to(type)).toThrow(`cache export "${type}" is not supported by naru`);
    expect(() => importOf({ type, attributes: {} })).toThrow(
      `cache import "${type}" is not supported by naru`,
    );
  }
  expect(() => to("registry")).toThrow('needs "ref"');
  expect(() => to("registry", { ref: "a", mode: "most" })).toThrow("mode=most");
  expect(() => to("registry", { ref: "a", compression: "estargz" })).toThrow("estargz");
  expect(() => to("registry", { ref: "a", compression: "lzma" })).toThrow("lzma");
  expect(() => to("registry", { ref: "a", speed: "9" })).toThrow('option "speed"');
});

test("imports: a list as JSON, and the names of older clients", () => {
  const digest = digestOf("x");
  const given = [
    { Type: "registry", Attrs: { ref: "a/b:c" } },
    { Type: "local", Attrs: { src: "/s", digest } },
  ];
  expect(
    importsIn({ "cache-imports": JSON.stringify(given), "cache-from": "x,y" }).map(importOf),
  ).toEqual([
    { kind: "registry", reference: "a/b:c" },
    { kind: "local", directory: "/s", digest },
    { kind: "registry", reference: "x" },
    { kind: "registry", reference: "y" },
  ]);
  expect(importsIn({})).toEqual([]);
});
