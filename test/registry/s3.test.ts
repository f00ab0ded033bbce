/** Blobs in a bucket: the same registry to its clients, over a restart and a collection. */
import { readdirSync, writeFileSync } from "node:fs";

import { afterAll, expect, test } from "bun:test";

import { startBucket } from "#registry/storage/s3-server.fake.ts";
import { cleanUp, pushImage, serve, sha256, temporaryDirectory } from "./world.ts";

afterAll(cleanUp);

interface Parts {
  readonly layers: readonly { readonly digest: string }[];
}

for (const redirect of [false, true]) {
  test(`push, pull, ranges, restart and collection with blobs in a bucket (${redirect ? "by links" : "through the registry"})`, async () => {
    using bucket = startBucket();
    const path = `${temporaryDirectory()}/registry.json`;
    const s3 = {
      endpoint: bucket.url,
      bucket: "bucket",
      prefix: "reg",
      "access-key-id": "key",
      "secret-access-key": "secret",
      redirect,
    };
    writeFileSync(path, JSON.stringify({ s3, "gc-grace-seconds": 0 }));
    const flags = ["--config-file", path];
    const served = await serve(flags);
    const layer = "x".repeat(6_000_000);
    const digest = await pushImage(served.url, "team/app", "v1", { layer });
    expect([...bucket.objects.keys()].every((key) => key.startsWith("reg/blobs/sha256/"))).toBe(
      true,
    );
    expect(bucket.objects.size).toBe(2);
    // Nothing of it stays on the disk here.
    expect(readdirSync(`${served.dataRoot}/uploads`)).toEqual([]);

    const check = async (url: string): Promise<void> => {
      const reply = await fetch(`${url}/v2/team/app/manifests/v1`);
      expect(reply.headers.get("docker-content-digest")).toBe(digest);
      const { layers } = (await reply.json()) as Parts;
      const blob = `${url}/v2/team/app/blobs/${layers[0]?.digest}`;
      const head = await fetch(blob, { method: "HEAD" });
      expect(head.headers.get("content-length")).toBe(String(layer.length));
      expect(sha256(await (await fetch(blob)).text())).toBe(layers[0]!.digest);
      const part = await fetch(blob, { headers: { range: "bytes=10-19" } });
      expect([part.status, await part.text()]).toEqual([206, "x".repeat(10)]);
      const direct = await fetch(blob, { redirect: "manual" });
      await direct.body?.cancel();
      expect(direct.status).toBe(redirect ? 307 : 200);
    };
    await check(served.url);
    await served.end("SIGKILL");
    const again = await serve(flags, served.dataRoot);
    await check(again.url);
    if (!redirect) {
      bucket.refusals.push(...Array.from({ length: 9 }, () => ({ method: "GET", status: 500 })));
      const { layers } = (await (
        await fetch(`${again.url}/v2/team/app/manifests/v1`)
      ).json()) as Parts;
      const away = await fetch(`${again.url}/v2/team/app/blobs/${layers[0]?.digest}`);
      expect(away.status).toBe(503);
      bucket.refusals.length = 0;
    }
    await fetch(`${again.url}/v2/team/app/manifests/${digest}`, { method: "DELETE" });
    const collected = await fetch(`${again.url}/naru/collect`, { method: "POST" });
    expect(collected.status).toBe(200);
    // A registry that ends waits for what is being deleted.
    await again.end("SIGTERM");
    expect([...bucket.objects.keys()]).toEqual([]);
  }, 300_000);
}

test("a bucket that cannot be used keeps the registry from starting, with the reason", async () => {
  const path = `${temporaryDirectory()}/registry.json`;
  const write = (s3: object): void => writeFileSync(path, JSON.stringify({ s3 }));
  const base = { endpoint: "http://127.0.0.1:1", bucket: "b" };
  write({ ...base, "access-key-id": "a", "secret-access-key": "b" });
  expect(await serve(["--config-file", path]).catch(String)).toContain("cannot be used");
  write(base);
  expect(await serve(["--config-file", path]).catch(String)).toContain(
    '"access-key-id" is missing: name it there or in AWS_ACCESS_KEY_ID',
  );
});
