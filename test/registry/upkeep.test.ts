/** Collection under pushes, retention, immutable tags, quotas. */
import { readdirSync, writeFileSync } from "node:fs";

import { afterAll, expect, test } from "bun:test";

import { must, run } from "../harness/process.ts";
import {
  cleanUp,
  errorOf,
  naru,
  OCI_INDEX,
  OCI_MANIFEST,
  pushBlob,
  pushBlobsOf,
  pushImage,
  putManifest,
  serve,
  sha256,
  temporaryDirectory,
  type Served,
} from "./world.ts";

afterAll(cleanUp);

const withConfig = (config: object): string[] => {
  const path = `${temporaryDirectory()}/config.json`;
  writeFileSync(path, JSON.stringify(config));
  return ["--config-file", path];
};

interface CollectReport {
  readonly manifests: readonly object[];
  readonly blobs: readonly object[];
  readonly freedBytes: number;
}

const collect = async ({ url }: Served, query: string): Promise<CollectReport> => {
  const reply = await fetch(`${url}/naru/collect?${query}`, { method: "POST" });
  expect(reply.status).toBe(200);
  return (await reply.json()) as CollectReport;
};

const blobFiles = (served: Served): number =>
  readdirSync(`${served.dataRoot}/content/blobs/sha256`).length;

const statusOf = async (url: string): Promise<number> => (await fetch(url)).status;

test("collection takes what nothing needs, and nothing else", async () => {
  const served = await serve(withConfig({ "gc-grace-seconds": 5 }));
  const { url } = served;
  const kept = await pushImage(url, "gc/a", "kept", { layer: "kept" });
  const child = await pushImage(url, "gc/a", "child", { layer: "child" });
  const descriptor = (digest: string) => ({
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest,
    size: 1,
  });
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [descriptor(child)],
  });
  await putManifest(url, "gc/a", "index", index, { "content-type": OCI_INDEX });
  await fetch(`${url}/v2/gc/a/manifests/child`, { method: "DELETE" });
  // A signature: untagged, about an image that is there.
  const signature = await pushBlobsOf(url, "gc/a", { layer: "sig", subject: descriptor(kept) });
  const signed = await putManifest(url, "gc/a", "sig", signature);
  await fetch(`${url}/v2/gc/a/manifests/sig`, { method: "DELETE" });
  // Garbage: an untagged image, a blob that no manifest needs.
  await pushImage(url, "gc/a", "gone", { layer: "gone" });
  await fetch(`${url}/v2/gc/a/manifests/gone`, { method: "DELETE" });
  await pushBlob(url, "gc/a", "nobody's");
  // The same bytes are needed in another repository.
  await pushImage(url, "gc/b", "v1", { layer: "gone" });
  const early = { manifests: [], blobs: [], isTooEarly: true };
  expect(await collect(served, "untagged=1")).toMatchObject(early);
  await Bun.sleep(5_500);
  const plan = await collect(served, "untagged=1&dry-run=1");
  expect(plan.manifests.length).toBe(1);
  const report = await collect(served, "untagged=1");
  expect([report.manifests.length, report.blobs.length]).toEqual([1, 3]);
  expect(report.freedBytes).toBe("nobody's".length);
  for (const path of [
    "gc/a/manifests/kept",
    "gc/a/manifests/index",
    `gc/a/manifests/${child}`,
    `gc/a/manifests/${signed.headers.get("docker-content-digest")}`,
    "gc/b/manifests/v1",
  ]) {
    expect(`${path} ${await statusOf(`${url}/v2/${path}`)}`).toBe(`${path} 200`);
  }
  expect(blobFiles(served)).toBe(8);
});

test("what a client was told of stays until what needs it had time to come", async () => {
  const served = await serve(withConfig({ "gc-grace-seconds": 6 }));
  const { url } = served;
  const digest = await pushBlob(url, "told/a", "layer");
  await Bun.sleep(6_500);
  expect((await fetch(`${url}/v2/told/a/blobs/${digest}`, { method: "HEAD" })).status).toBe(200);
  expect((await collect(served, "")).blobs).toEqual([]);
  const manifest = await pushImage(url, "told/b", "v1");
  await fetch(`${url}/v2/told/b/manifests/v1`, { method: "DELETE" });
  await Bun.sleep(6_500);
  await fetch(`${url}/v2/told/b/manifests/${manifest}`, { method: "HEAD" });
  expect((await collect(served, "untagged=1")).manifests).toEqual([]);
  // Told of long ago: gone.
  expect((await fetch(`${url}/v2/told/a/blobs/${digest}`, { method: "HEAD" })).status).toBe(404);
});

/** Pushes images with a shared and an own layer until `isOver`; returns what did not go well. */
const pusher = async (url: string, name: string, isOver: () => boolean) => {
  const failures: string[] = [];
  const pushed: string[] = [];
  for (let n = 0; !isOver(); n += 1) {
    const layer = n % 2 === 0 ? "shared by many" : `layer ${name} ${n}`;
    try {
      await pushImage(url, `busy/${name}`, `v${n}`, { layer });
      pushed.push(`v${n}`);
    } catch (error) {
      failures.push(String(error));
    }
  }
  return { failures, pushed };
};

test("a thousand tags deleted and collected while clients push: no push fails, nothing is lost", async () => {
  const served = await serve(withConfig({ "gc-grace-seconds": 5 }));
  const { url } = served;
  for (let n = 0; n < 1000; n += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        pushImage(url, "old/a", `t${n + i}`, { layer: `old ${(n + i) % 500}` }),
      ),
    );
  }
  let isOver = false;
  const pushers = ["a", "b", "c", "d"].map((name) => pusher(url, name, () => isOver));
  await Bun.sleep(5_200);
  const tags = Array.from({ length: 1000 }, (_, n) => `t${n}`);
  const collecting = (async () => {
    let freed = 0;
    while (!isOver) {
      const report = await collect(served, "untagged=1&grace-seconds=5");
      freed += report.blobs.length;
      await Bun.sleep(20);
    }
    return freed;
  })();
  for (const tag of tags) {
    const reply = await fetch(`${url}/v2/old/a/manifests/${tag}`, { method: "DELETE" });
    expect(reply.status).toBe(202);
  }
  await Bun.sleep(6_000);
  isOver = true;
  const results = await Promise.all(pushers);
  expect(results.flatMap((result) => result.failures)).toEqual([]);
  await collecting;
  await Bun.sleep(5_500);
  await collect(served, "untagged=1&grace-seconds=5");
  const names = ["a", "b", "c", "d"];
  let checked = 0;
  for (const [at, { pushed }] of results.entries()) {
    for (const tag of pushed) {
      const reply = await fetch(`${url}/v2/busy/${names[at]}/manifests/${tag}`);
      const manifest = (await reply.json()) as {
        config: { digest: string };
        layers: { digest: string }[];
      };
      for (const { digest } of [manifest.config, ...manifest.layers]) {
        const blob = await fetch(`${url}/v2/busy/${names[at]}/blobs/${digest}`, { method: "HEAD" });
        expect(blob.status).toBe(200);
      }
      checked += 1;
    }
  }
  expect(checked).toBeGreaterThan(50);
  // What was old is gone from the disk: config and layer of each of 500 images.
  const { blobs } = await collect(served, "untagged=1&dry-run=1&grace-seconds=5");
  expect(blobs).toEqual([]);
  const left = await fetch(`${url}/v2/_catalog`);
  expect(((await left.json()) as { repositories: string[] }).repositories).not.toContain("old/a");
}, 300_000);

test("retention says what it would remove, and why, before it does", async () => {
  const served = await serve(
    withConfig({
      retention: [{ repositories: "ci/**", tags: "*", "keep-last": 2, "keep-tags": ["v*"] }],
      "immutable-tags": [{ repositories: "**", tags: "pinned" }],
    }),
  );
  const { url } = served;
  for (const tag of ["pinned", "v1", "b1", "b2", "b3"]) await pushImage(url, "ci/app", tag);
  await pushImage(url, "other/app", "b1");
  const retain = async (query: string) =>
    (await (await fetch(`${url}/naru/retention${query}`, { method: "POST" })).json()) as {
      removed: { repository: string; tag: string; reason: string }[];
      keptCount: number;
    };
  const plan = await retain("?dry-run=1");
  expect(plan.removed.map(({ tag }) => tag)).toEqual(["b1"]);
  expect(plan.removed[0]?.reason).toContain('the rule for "ci/**"');
  expect(await statusOf(`${url}/v2/ci/app/manifests/b1`)).toBe(200);
  const said = await must([...naru, "registry", "retention", "--dry-run", "--url", url]);
  expect(said).toContain('would remove ci/app:b1 (nothing in the rule for "ci/**", "*" keeps it)');
  expect(await retain("")).toEqual(plan);
  expect(await statusOf(`${url}/v2/ci/app/manifests/b1`)).toBe(404);
  expect((await retain("")).removed).toEqual([]);
});

test("upkeep from the command line says what is wrong, and what to do", async () => {
  const users = `${temporaryDirectory()}/users`;
  writeFileSync(
    users,
    `ann:${await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 })}\n`,
  );
  const { url } = await serve(["--htpasswd", users]);
  const said = async (...args: string[]): Promise<string> => {
    const done = await run([...naru, "registry", ...args]);
    expect(done.code).toBe(1);
    return done.stderr;
  };
  const closed = "http://127.0.0.1:1";
  expect(await said("retention", "--untagged", "--url", url)).toContain(
    "of 'naru registry collect'",
  );
  expect(await said("collect", "--password-stdin", "--url", url)).toContain("belong together");
  expect(await said("collect", "--url", closed)).toMatch(/no registry answers at ".*" \(.+\)/);
  expect(await said("collect", "--url", url)).toMatch(/401, log in .*: give --user NAME/);
});

test("immutable tags stay where they are", async () => {
  const served = await serve(
    withConfig({ "immutable-tags": [{ repositories: "team/*", tags: "v*" }] }),
  );
  const { url } = served;
  const digest = await pushImage(url, "team/a", "v1", { layer: "one" });
  const manifest = await pushBlobsOf(url, "team/a", { layer: "two" });
  expect(await errorOf(await putManifest(url, "team/a", "v1", manifest))).toBe("403 DENIED");
  expect((await putManifest(url, "team/a", "latest", manifest)).status).toBe(201);
  for (const reference of ["v1", digest]) {
    const reply = await fetch(`${url}/v2/team/a/manifests/${reference}`, { method: "DELETE" });
    expect(await errorOf(reply)).toBe("403 DENIED");
  }
  // The same again is no change.
  expect(await pushImage(url, "team/a", "v1", { layer: "one" })).toBe(digest);
  expect((await fetch(`${url}/v2/team/a/manifests/latest`, { method: "DELETE" })).status).toBe(202);
});

test("parts of an immutable tag's image stay as well", async () => {
  const served = await serve(withConfig({ "immutable-tags": [{ tags: "v*" }] }));
  const { url } = served;
  const child = await pushImage(url, "team/a", "build", { layer: "one" });
  const size = (await (await fetch(`${url}/v2/team/a/manifests/${child}`)).text()).length;
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [{ mediaType: OCI_MANIFEST, digest: child, size }],
  });
  const type = { "content-type": OCI_INDEX };
  expect((await putManifest(url, "team/a", "v1", index, type)).status).toBe(201);
  const remove = (path: string) => fetch(`${url}/v2/team/a/${path}`, { method: "DELETE" });
  for (const path of [`manifests/${child}`, `blobs/${sha256("one")}`]) {
    const reply = await remove(path);
    expect(reply.status).toBe(403);
    expect(await reply.text()).toContain('is part of \\"team/a:v1\\", an immutable tag');
  }
  expect((await remove("manifests/build")).status).toBe(202);
  await pushBlob(url, "team/a", "of nobody");
  expect((await remove(`blobs/${sha256("of nobody")}`)).status).toBe(202);
});

test("a blob that the quota counts already costs nothing again", async () => {
  const served = await serve(
    withConfig({ quotas: [{ repositories: "team/**", "max-size": 1000 }] }),
  );
  const { url } = served;
  const digest = await pushBlob(url, "team/a", "x".repeat(900));
  const mount = `${url}/v2/team/b/blobs/uploads/?mount=${digest}&from=team/a`;
  expect((await fetch(mount, { method: "POST" })).status).toBe(201);
  // Pushed once more, at once and by way of an upload.
  expect(await pushBlob(url, "team/a", "x".repeat(900))).toBe(digest);
  const begun = await fetch(`${url}/v2/team/c/blobs/uploads/`, { method: "POST" });
  const place = `${url}${begun.headers.get("location")}?digest=${digest}`;
  expect((await fetch(place, { method: "PUT", body: "x".repeat(900) })).status).toBe(201);
  expect(await pushBlob(url, "team/a", "y".repeat(100))).toBe(sha256("y".repeat(100)));
  const over = `${url}/v2/team/a/blobs/uploads/?digest=${sha256("z")}`;
  expect(await errorOf(await fetch(over, { method: "POST", body: "z" }))).toBe("403 DENIED");
});

test("uploads that end at once do not pass a quota together", async () => {
  const served = await serve(
    withConfig({ quotas: [{ repositories: "team/**", "max-size": 1000 }] }),
  );
  const { url } = served;
  const places = await Promise.all(
    Array.from({ length: 8 }, async (_, n) => {
      const begun = await fetch(`${url}/v2/team/a/blobs/uploads/`, { method: "POST" });
      const place = `${url}${begun.headers.get("location")}`;
      const data = String(n).repeat(600);
      expect((await fetch(place, { method: "PATCH", body: data })).status).toBe(202);
      return `${place}?digest=${sha256(data)}`;
    }),
  );
  const replies = await Promise.all(places.map((place) => fetch(place, { method: "PUT" })));
  const taken = replies.filter(({ status }) => status === 201);
  const refused = replies.filter(({ status }) => status === 403);
  expect([taken.length, refused.length]).toEqual([1, 7]);
});

test("quotas count distinct bytes of all that match", async () => {
  const served = await serve(
    withConfig({ quotas: [{ repositories: "team/**", "max-size": 1000 }] }),
  );
  const { url } = served;
  await pushBlob(url, "team/a", "x".repeat(900));
  await pushBlob(url, "other/a", "y".repeat(900));
  const start = (size: number) =>
    fetch(`${url}/v2/team/b/blobs/uploads/?digest=sha256:${"0".repeat(64)}`, {
      method: "POST",
      body: "z".repeat(size),
    });
  expect(await errorOf(await start(200))).toBe("403 DENIED");
  expect(await errorOf(await start(50))).toBe("400 DIGEST_INVALID");
  expect(await (await start(200)).text()).toContain('the quota of \\"team/**\\" is 1000 bytes');
});
