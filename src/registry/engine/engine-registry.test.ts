import { expect, test } from "bun:test";

import type { ServedIndex } from "#image/index-document.ts";
import { createEngineRegistry } from "#registry/engine/engine-registry.ts";
import type { Page } from "#registry/registry.ts";
import type { Digest } from "#spec/image/digest.ts";

const id = `sha256:${"1".repeat(64)}` as Digest;

const registryOf = (RepoTags: string[], index: Partial<ServedIndex> = {}) =>
  createEngineRegistry({
    find: () => undefined,
    servedIndex: async () => ({
      documents: [],
      images: [],
      referrers: [],
      attached: [],
      blobs: [],
      ...index,
    }),
    served: () => Promise.reject(new Error("not asked for")),
    list: () => [
      {
        Id: id,
        ParentId: "",
        RepoTags,
        RepoDigests: [],
        Created: 0,
        Size: 0,
        SharedSize: -1,
        Labels: null,
        Containers: -1,
      },
    ],
  });

test("names: Docker Hub's short, others with their host", () => {
  const registry = registryOf(["alpine:3", "team/tool:1", "ghcr.io/a/b:2", "localhost:5000/c:4"]);
  const { items } = registry.repositories({}) as Page<string>;
  expect(items).toEqual(["alpine", "ghcr.io/a/b", "localhost_5000/c", "team/tool"]);
  const tags = (name: string): readonly string[] => (registry.tags(name, {}) as Page<string>).items;
  expect(tags("alpine")).toEqual(["3"]);
  expect(tags("library/alpine")).toEqual(["3"]);
  expect(tags("ghcr.io/a/b")).toEqual(["2"]);
  expect(() => tags("library/team/tool")).toThrow("no image");
});

test("as a mirror it is told whose name it is", () => {
  const registry = registryOf([]);
  expect(registry.repositoryFor("docker.io", "library/alpine")).toBe("alpine");
  expect(registry.repositoryFor("ghcr.io", "a/b")).toBe("ghcr.io/a/b");
  expect(registry.repositoryFor("localhost:5000", "c")).toBe("localhost_5000/c");
});

test("what a tag attaches to an image is found under that tag, and not listed", async () => {
  const tag = `${id.replace(":", "-")}.sig`;
  const document = { digest: id, mediaType: "m", text: "{}", sizeBytes: 2 };
  const attached = [{ tag, digest: id }];
  const registry = registryOf(["alpine:3"], { documents: [document], attached });
  expect(await registry.manifest("alpine", tag)).toMatchObject({ digest: id, mediaType: "m" });
  const other = tag.replace(/1/g, "2");
  expect(registry.manifest("alpine", other)).rejects.toThrow("has no manifest");
  expect((registry.tags("alpine", {}) as Page<string>).items).toEqual(["3"]);
});

test("it takes nothing", () => {
  const registry = registryOf([]);
  expect(registry.uploads).toBeUndefined();
  expect(() => registry.deleteManifest("a", "b")).toThrow("through the engine alone");
});
