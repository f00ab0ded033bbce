import { expect, test } from "bun:test";
import type { DockerBackend } from "#api/docker/backend.ts";
import { NamelessImages } from "#api/docker/buildkit/nameless.ts";
import { NaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";

/** A store of images by id, each with its names; those of `used` have a container. */
const setUp = (stored: Readonly<Record<string, string[]>>, used: readonly string[] = []) => {
  const images = new Map(Object.entries(stored));
  const warned: unknown[] = [];
  const backend = {
    images: {
      find: (id: string) => images.has(id) && { repoTags: images.get(id), repoDigests: [] },
      list: () => [...images.keys()].map((Id) => ({ Id, ParentId: "" })),
      remove: async (id: string) => {
        if (used.includes(id)) throw new NaruError("conflict", `image "${id}" is in use`);
        images.delete(id);
        return [];
      },
    },
    logger: { ...silentLogger, warn: (...words: unknown[]) => void warned.push(words) },
  } as unknown as DockerBackend;
  return { backend, warned, left: () => [...images.keys()] };
};

test("what nobody asked for goes with the last build that runs, what has a name stays", async () => {
  const { backend, left } = setUp({ a: [], b: ["b:1"], c: [] });
  const nameless = new NamelessImages();
  const first = nameless.enter(backend);
  const second = nameless.enter(backend);
  nameless.add("a");
  nameless.add("b");
  await first[Symbol.asyncDispose]();
  expect(left()).toEqual(["a", "b", "c"]);
  await second[Symbol.asyncDispose]();
  expect(left()).toEqual(["b", "c"]);
});

test("an image that another build was asked for at the same time stays", async () => {
  for (const isFirst of [true, false]) {
    const { backend, left } = setUp({ a: [] });
    const nameless = new NamelessImages();
    const files = nameless.enter(backend);
    const image = nameless.enter(backend);
    if (isFirst) nameless.keep("a");
    nameless.add("a");
    if (!isFirst) nameless.keep("a");
    await image[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
    expect(left()).toEqual(["a"]);
    // What one build wanted is no word about later ones.
    const later = nameless.enter(backend);
    nameless.add("a");
    await later[Symbol.asyncDispose]();
    expect(left()).toEqual([]);
  }
});

test("no build fails by an image that cannot go, and the others go", async () => {
  const { backend, warned, left } = setUp({ a: [], b: [] }, ["a"]);
  const nameless = new NamelessImages();
  const build = nameless.enter(backend);
  nameless.add("a");
  nameless.add("b");
  await build[Symbol.asyncDispose]();
  expect(left()).toEqual(["a"]);
  expect(warned.length).toBe(1);
});
