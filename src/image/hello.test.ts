import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { isStaticElf } from "#image/busybox.ts";
import { createHello, helloLayer, isHello } from "#image/hello.ts";
import { type FakeImages, createFakeImages, failureOf } from "#image/images.fake.ts";
import { leastCpuMs } from "#lib/cpu-time.fake.ts";
import { TarReader } from "#lib/tar/reader.ts";

let fake: FakeImages;
beforeEach(() => {
  fake = createFakeImages();
});
afterEach(() => fake[Symbol.dispose]());

const hasBusybox = existsSync("/bin/busybox") && isStaticElf(readFileSync("/bin/busybox"));

test("only its own name is taken for it", () => {
  for (const name of ["naru/hello", "naru/hello:latest", "docker.io/naru/hello"])
    expect(isHello(name)).toBe(true);
  for (const name of ["naru/hello:1", "x.io/naru/hello", "hello", "a".repeat(64), "Bad Name"])
    expect(isHello(name)).toBe(false);
});

test.if(hasBusybox)("it is made once, the same every time, in little time", async () => {
  const { layers } = fake.dependencies;
  let made = 0;
  const unpack = layers.unpack.bind(layers);
  layers.unpack = (work) => {
    made += 1;
    return unpack(work);
  };
  const [a, b] = await Promise.all([
    fake.images.provide("naru/hello"),
    fake.images.provide("naru/hello:latest"),
  ]);
  expect(made).toBe(1);
  expect(a).toBe(b!);
  let again: unknown;
  const spentMs = await leastCpuMs(3, async () => (again = await createHello(fake.dependencies)));
  expect(again).toBe(a!);
  expect(spentMs).toBeLessThan(1000);
  const record = fake.images.get("naru/hello");
  expect(record.config.config).toMatchObject({
    Cmd: ["/bin/hello"],
    ExposedPorts: { "80/tcp": {} },
  });
  expect(fake.images.provide("alpine")).toBeUndefined();
});

test("its layer is a whole little system", async () => {
  const layer = helloLayer({ bytes: Buffer.from("ELF"), applets: ["bin/sh", "usr/sbin/httpd"] });
  const names = new Map<string, string>();
  const source = (async function* () {
    yield layer;
  })();
  for await (const { entry } of new TarReader(source))
    names.set(entry.name, `${entry.type} ${entry.mode.toString(8)} ${entry.linkName}`);
  expect(names.get("bin/sh")).toBe("symlink 777 /bin/busybox");
  expect(names.get("tmp/")).toBe("directory 1777 ");
  expect(names.get("bin/hello")).toBe("file 755 ");
  expect(names.has("www/index.html")).toBe(true);
});

test("without a static busybox the remedy is named", async () => {
  expect(await failureOf(createHello(fake.dependencies, ["/nonexistent"]))).toContain(
    "apt-get install busybox-static",
  );
  expect(await failureOf(createHello(fake.dependencies, ["/bin/sh"]))).toContain(
    "needs shared libraries",
  );
});
