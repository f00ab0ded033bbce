/** One image of several platforms at a registry of tests, and the store that pulls it. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "bun:test";
import { layer } from "#image/archive.fake.ts";
import { createFakeImages } from "#image/images.fake.ts";
import { type FakeRegistry, startRegistry } from "#remote/registry.fake.ts";
import type { Digest } from "#spec/image/digest.ts";
import { parsePlatform } from "#spec/image/platform.ts";

const zipped = (plain: Uint8Array) => ({ tar: plain, blob: Bun.gzipSync(new Uint8Array(plain)) });
const SHARED = zipped(layer("shared"));
export const OTHER = "linux/s390x";
export const HOST = `linux/${process.arch === "x64" ? "amd64" : process.arch}`;

export interface Published {
  readonly index: Digest;
  readonly host: Digest;
  readonly other: Digest;
}

/** The host's platform, one more with an attestation, Windows, and one that is nowhere asked for. */
const publishTo = (registry: FakeRegistry, name = "1"): Published => {
  const image = (platform: string): Digest => {
    const { os, architecture } = parsePlatform(platform);
    const layers = [SHARED, zipped(layer(`${name} ${platform}`))];
    return registry.addImage(`x-${architecture}`, layers, { architecture, os });
  };
  const entry = (digest: Digest, platform: string) => ({
    digest,
    platform: parsePlatform(platform),
  });
  const [host, other] = [image(HOST), image(OTHER)];
  const attestation = registry.addArtifact("att", ["{}", `provenance of ${name}`]);
  const index = registry.addIndex(name, [
    entry(other, OTHER),
    entry(host, HOST),
    entry(registry.addArtifact("win", ["{}", "C:"]), "windows/amd64"),
    {
      digest: attestation,
      platform: { os: "unknown", architecture: "unknown" },
      annotations: {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": host,
      },
    },
  ]);
  return { index, host, other };
};

/** A fresh store and registry; the caller disposes of it. */
export const openPlatforms = () => {
  const fake = createFakeImages();
  const registry = startRegistry();

  const publish = (name?: string): Published => publishTo(registry, name);
  const nameOf = (tag = "1"): string => `${registry.host}/a/b:${tag}`;
  const pull = async (
    options: { platform?: string; isAllPlatforms?: boolean } = {},
    name = nameOf(),
  ): Promise<string[]> => {
    const words: string[] = [];
    const { platform, isAllPlatforms = false } = options;
    await fake.images.pull(name, {
      credentials: {},
      isAllTags: false,
      isAllPlatforms,
      signal: new AbortController().signal,
      onEvent: ({ status }) => void words.push(status),
      ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    });
    return words;
  };
  const rm = (name: string, platforms: string[] = [], isForced = false) =>
    fake.images.remove(name, {
      isForced,
      isParentKept: false,
      platforms: platforms.map(parsePlatform),
    });
  const shown = () =>
    fake.images.list({ isAll: true, filters: new Map(), hasManifests: true, hasSharedSize: true });
  const present = (): string[] =>
    (shown()[0]?.Manifests ?? []).map(
      ({ Kind, Available }) => `${Kind}${Available ? "" : " absent"}`,
    );
  const expectNothingLeft = (): void => {
    expect([...fake.content.walk()]).toEqual([]);
    expect(fake.dependencies.layers.layers()).toEqual([]);
    expect([...fake.dependencies.rows.list()]).toEqual([]);
    expect(fake.dependencies.rows.manifests.digests()).toEqual([]);
    expect(readdirSync(join(fake.root, "content/partial"))).toEqual([]);
  };

  return {
    fake,
    registry,
    publish,
    nameOf,
    pull,
    rm,
    shown,
    present,
    expectNothingLeft,
    [Symbol.dispose]: (): void => {
      fake[Symbol.dispose]();
      registry[Symbol.dispose]();
    },
  };
};

export type Platforms = ReturnType<typeof openPlatforms>;
