/** Manifest lists of images at two registries, of which one asks for a password. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { layer } from "#image/archive.fake.ts";
import { type FakeImages, createFakeImages } from "#image/images.fake.ts";
import { type FakeRegistry, startRegistry } from "#remote/registry.fake.ts";
import { parsePlatform } from "#spec/image/platform.ts";

let fake: FakeImages;
let registry: FakeRegistry;
let target: FakeRegistry;
beforeEach(() => {
  fake = createFakeImages();
  registry = startRegistry();
  target = startRegistry();
});
afterEach(() => {
  fake[Symbol.dispose]();
  registry[Symbol.dispose]();
  target[Symbol.dispose]();
});

const tar = layer("x");
const LAYER = { tar, blob: Bun.gzipSync(new Uint8Array(tar)) };
const options = {
  credentials: { username: "u", password: "p" },
  signal: new AbortController().signal,
  onEvent: () => undefined,
  isInsecure: false,
};

test("the target's password is not told to another registry that a list takes an image from", async () => {
  const digest = registry.addImage("1", [LAYER]);
  target.faults.basic = "u:p";
  const reference = `${registry.host}/a/b:1`;
  const platform = {
    ...parsePlatform("windows/amd64"),
    osVersion: "10.0",
    osFeatures: ["win32k"],
  };
  const push = () =>
    fake.images.pushIndex(`${target.host}/c/d:2`, [{ reference, digest, platform }], options);
  await push();
  expect(JSON.parse(target.manifests.get("2")!.text).manifests[0].platform).toEqual({
    os: "windows",
    architecture: "amd64",
    "os.version": "10.0",
    "os.features": ["win32k"],
  });
  // A registry that asks hears nothing either: it is told that nobody is logged in.
  registry.faults.basic = "u:p";
  registry.log.length = 0;
  const before = registry.log.length;
  expect(push()).rejects.toThrow("no basic auth credentials");
  await push().catch(() => undefined);
  expect(registry.log.length).toBeGreaterThan(before);
  expect(registry.log.join()).not.toContain("Basic ");
});
