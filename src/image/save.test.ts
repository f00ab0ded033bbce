import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { dockerItems, layer, source, tar } from "#image/archive.fake.ts";
import type { LoadEvent } from "#image/image.ts";
import { loadEventText } from "#image/image.ts";
import { type FakeImages, createFakeImages, failureOf } from "#image/images.fake.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { parsePlatform } from "#spec/image/platform.ts";

let fake: FakeImages;
beforeEach(() => {
  fake = createFakeImages();
});
afterEach(() => fake[Symbol.dispose]());

const load = async (
  archive: Uint8Array,
  platform?: string,
): Promise<{ ids: Digest[]; said: string[] }> => {
  const events: LoadEvent[] = [];
  const ids = await fake.images.load(source(archive), {
    signal: new AbortController().signal,
    onEvent: (event) => events.push(event),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
  });
  const said = events.map(loadEventText).filter((text) => text !== undefined);
  return { ids, said };
};

test("import makes an image of one layer", async () => {
  const bytes = layer("root");
  const id = await fake.images.import(source(Bun.gzipSync(Buffer.from(bytes))), {
    signal: new AbortController().signal,
    reference: "rootfs:1",
    message: "made by hand",
    changes: ['CMD ["sh"]', "ENV A=b"],
    platform: parsePlatform("linux/arm64"),
  });
  const record = fake.images.get("rootfs:1");
  expect(record.id).toBe(id);
  expect(record.chainId).toBe(digestOf(bytes));
  expect(record.config.config).toEqual({ Cmd: ["sh"], Env: ["A=b"] });
  expect(record.platform.architecture).toBe("arm64");
  expect(record.config.history).toMatchObject([{ comment: "made by hand" }]);
  const bad = fake.images.import(source(bytes), {
    signal: new AbortController().signal,
    changes: ["RUN x"],
  });
  expect(await failureOf(bad)).toContain("RUN is not a valid change command");
});

test("a container's changes on top of an image", async () => {
  const base = await fake.add("base", { references: ["base"] });
  const path = join(fake.root, "content/changes.tar");
  const changes = layer("changed");
  await Bun.write(path, changes);
  const request = {
    parent: base,
    config: { Cmd: ["sh"] },
    message: "why",
    author: "me",
    reference: "top:1",
  };
  const id = await fake.images.createFromLayer({
    ...request,
    layer: { diffId: digestOf(changes), path },
  });
  const { config, parent, chainId } = fake.images.get("top:1");
  expect(parent).toBe(base);
  expect(chainId).toBe(digestOf(`${digestOf("tar of base")} ${digestOf(changes)}`));
  expect(config).toMatchObject({ author: "me", comment: "why", config: { Cmd: ["sh"] } });
  expect(config.history).toHaveLength(2);
  using saved = await fake.images.save([id], new AbortController().signal);
  expect(saved.sizeBytes).toBeGreaterThan(changes.length);
  const wrong = fake.images.createFromLayer({
    ...request,
    reference: "x",
    layer: { diffId: digestOf("x"), path: join(fake.root, "nope") },
  });
  expect(await failureOf(wrong)).toContain("ENOENT");
  const again = await fake.images.createFromLayer({
    ...request,
    reference: "config:1",
    layer: undefined,
  });
  expect(fake.images.get(again).chainId).toBe(digestOf("tar of base"));
});

test("what was saved loads again, byte for byte", async () => {
  const layers = [layer("one"), layer("two")];
  await load(tar(...dockerItems(layers, ["app:1", "reg.io/team/app:2"])));
  const signal = new AbortController().signal;
  const read = async (names: string[]): Promise<Uint8Array> => {
    using saved = await fake.images.save(names, signal);
    const bytes = await new Response(saved.stream(signal)).bytes();
    expect(bytes.length).toBe(saved.sizeBytes);
    return bytes;
  };
  const archive = await read(["app:1", "reg.io/team/app:2"]);
  const id = fake.images.resolve("app:1");
  const first = fake;
  fake = createFakeImages();
  expect(await load(archive)).toEqual({
    ids: [id],
    said: ["Loaded image: app:1\n", "Loaded image: reg.io/team/app:2\n"],
  });
  expect(await load(archive, "linux/amd64")).toMatchObject({ ids: [id] });
  expect(await read(["app:1", "reg.io/team/app:2"])).toEqual(archive);
  expect(fake.content.readText(digestOf(layers[1]!))).toBe(Buffer.from(layers[1]!).toString());
  expect(await read(["app"])).toEqual(await read(["app:1"]));
  expect((await read([id])).length).toBeLessThan(archive.length);
  expect(await failureOf(fake.images.save(["nope"], signal))).toContain(
    "No such image: nope:latest",
  );
  first[Symbol.dispose]();
});
