/** Pull-through: repositories that stand for others' elsewhere. */
import { writeFileSync } from "node:fs";

import { afterAll, expect, test } from "bun:test";

import { until } from "../harness/process.ts";
import {
  cleanUp,
  errorOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushBlobsOf,
  pushImage,
  putManifest,
  serve,
  sha256,
  temporaryDirectory,
  type Served,
} from "./world.ts";

afterAll(cleanUp);

const mirror = (
  upstreams: readonly object[],
  dataRoot?: string,
  more: object = {},
): Promise<Served> => {
  const path = `${temporaryDirectory()}/mirror.json`;
  writeFileSync(path, JSON.stringify({ ...more, upstreams }));
  return serve(["--config-file", path], dataRoot);
};

interface Parts {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

const pull = async (url: string, repository: string, tag: string): Promise<string> => {
  const reply = await fetch(`${url}/v2/${repository}/manifests/${tag}`);
  if (reply.status !== 200) return errorOf(reply);
  const { config, layers } = (await reply.json()) as Parts;
  for (const { digest } of [config, ...layers]) {
    const blob = await fetch(`${url}/v2/${repository}/blobs/${digest}`);
    if (blob.status !== 200) return errorOf(blob);
    expect(sha256(new Uint8Array(await blob.arrayBuffer()))).toBe(digest);
  }
  return reply.headers.get("docker-content-digest") ?? "";
};

test("several upstreams side by side, each by its prefix; what came stays when they are gone", async () => {
  const [one, two] = [await serve(), await serve()];
  const first = await pushImage(one.url, "library/app", "v1", { layer: "one" });
  const second = await pushImage(two.url, "team/tool", "v1", { layer: "x".repeat(3_000_000) });
  const upstreams = [
    { prefix: "one", registry: one.host, "tag-ttl-seconds": 0 },
    { prefix: "deep/two", registry: two.host, "tag-ttl-seconds": 0 },
  ];
  const served = await mirror(upstreams);
  expect(await pull(served.url, "one/library/app", "v1")).toBe(first);
  expect(await pull(served.url, "deep/two/team/tool", "v1")).toBe(second);
  expect(await pull(served.url, "one/library/app", "none")).toBe("404 MANIFEST_UNKNOWN");
  const tags = await (await fetch(`${served.url}/v2/one/library/app/tags/list`)).json();
  expect(tags).toEqual({ name: "one/library/app", tags: ["v1"] });
  const digest = sha256("not of any manifest");
  expect(await errorOf(await fetch(`${served.url}/v2/one/library/app/blobs/${digest}`))).toBe(
    "404 BLOB_UNKNOWN",
  );
  // containerd names the registry that it means.
  const named = await fetch(`${served.url}/v2/library/app/manifests/v1?ns=${one.host}`);
  expect(named.headers.get("docker-content-digest")).toBe(first);
  // A tag that moved is followed.
  const moved = await pushImage(one.url, "library/app", "v1", { layer: "moved" });
  expect(await pull(served.url, "one/library/app", "v1")).toBe(moved);
  // One that is gone is gone here as well, also when nobody can be asked any more.
  await pushImage(one.url, "library/app", "old", { layer: "old" });
  await pull(served.url, "one/library/app", "old");
  await fetch(`${one.url}/v2/library/app/manifests/old`, { method: "DELETE" });
  expect(await pull(served.url, "one/library/app", "old")).toBe("404 MANIFEST_UNKNOWN");
  // Its own repositories are as ever; those that stand for others take nothing.
  await pushImage(served.url, "own/app", "v1");
  const manifest = await pushBlobsOf(two.url, "x/y");
  const refused = await putManifest(served.url, "one/library/app", "v2", manifest);
  expect(await errorOf(refused)).toBe("403 DENIED");
  const upload = await fetch(`${served.url}/v2/one/a/blobs/uploads/`, { method: "POST" });
  expect(await errorOf(upload)).toBe("403 DENIED");
  await one.end("SIGKILL");
  await two.end("SIGKILL");
  await served.end("SIGKILL");
  const again = await mirror(upstreams, served.dataRoot);
  expect(await pull(again.url, "deep/two/team/tool", "v1")).toBe(second);
  expect(await pull(again.url, "one/library/app", "v1")).toBe(moved);
  expect((await fetch(`${again.url}/v2/one/library/app/manifests/old`)).status).toBe(502);
  const here = await (await fetch(`${again.url}/v2/one/library/app/tags/list`)).json();
  expect(here).toEqual({ name: "one/library/app", tags: ["v1"] });
}, 300_000);

test("an upstream that says nothing is not waited for where the image is here", async () => {
  const layer = Buffer.from("patience");
  const silent = Promise.withResolvers<undefined>();
  const upstream = upstreamOf(layer, () => undefined);
  const served = await mirror([{ prefix: "up", registry: upstream.host, "tag-ttl-seconds": 0 }]);
  const first = await pull(served.url, "up/a", "v1");
  upstream.hold(silent.promise);
  for (let n = 0; n < 20; n += 1) {
    const reply = await fetch(`${served.url}/v2/up/a/manifests/v1`);
    expect(reply.headers.get("docker-content-digest")).toBe(first);
  }
  // Asked once of twenty times (again where the machine took longer than the upstream counts as away).
  expect(upstream.lookUps.length).toBeLessThan(10);
  silent.resolve(undefined);
  await upstream.stop();
}, 120_000);

test("a tag that many ask for at once is looked up once", async () => {
  const upstream = upstreamOf(Buffer.from("together"), () => undefined);
  const gate = Promise.withResolvers<undefined>();
  upstream.hold(gate.promise);
  const served = await mirror([{ prefix: "up", registry: upstream.host, "tag-ttl-seconds": 0 }]);
  const asking = Array.from({ length: 10 }, () => fetch(`${served.url}/v2/up/a/manifests/v1`));
  const requests = async (): Promise<number> => {
    const text = await (await fetch(`${served.url}/metrics`)).text();
    return Number(/^naru_registry_connections (\d+)/m.exec(text)?.[1]);
  };
  await until("all have asked", async () => (await requests()) > 10);
  await until("the upstream was asked", () => upstream.lookUps.length > 0);
  gate.resolve(undefined);
  for (const reply of await Promise.all(asking)) expect(reply.status).toBe(200);
  expect(upstream.lookUps.length).toBeLessThan(10);
  await upstream.stop();
}, 60_000);

/** An upstream of one image whose layer comes as `send` sends it. */
const upstreamOf = (layer: Uint8Array, send: (from: number) => ReadableStream | undefined) => {
  const config = "{}";
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/x", digest: sha256(config), size: config.length },
    layers: [{ mediaType: "application/x", digest: sha256(layer), size: layer.length }],
  });
  const asked: string[] = [];
  const lookUps: string[] = [];
  let held: Promise<unknown> = Promise.resolve();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname.includes("/manifests/")) {
        lookUps.push(request.method);
        await held;
        return new Response(manifest, {
          headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" },
        });
      }
      if (!pathname.endsWith(sha256(layer))) return new Response("{}");
      const range = request.headers.get("range") ?? "";
      asked.push(range);
      const from = Number(/=(\d+)-/.exec(range)?.[1] ?? 0);
      const last = layer.length - 1;
      return new Response(send(from) ?? layer.subarray(from), {
        status: from > 0 ? 206 : 200,
        headers: from > 0 ? { "content-range": `bytes ${from}-${last}/${layer.length}` } : {},
      });
    },
  });
  return {
    host: `127.0.0.1:${server.port}`,
    asked,
    lookUps,
    /** Manifests are told when it has settled. */
    hold: (until: Promise<unknown>) => void (held = until),
    stop: () => server.stop(true),
  };
};

test("a quota holds for what a mirror fetches: what was used longest ago makes room, what was pushed stays", async () => {
  const upstream = await serve();
  for (const name of ["a", "b", "c"]) {
    await pushImage(upstream.url, `lib/${name}`, "v1", { layer: name.repeat(40_000) });
  }
  await pushImage(upstream.url, "lib/large", "v1", { layer: "x".repeat(120_000) });
  const upstreams = [{ prefix: "up", registry: upstream.host, "tag-ttl-seconds": 3600 }];
  const quotas = [{ repositories: "**", "max-size": 110_000 }];
  const served = await mirror(upstreams, undefined, { quotas, "open-metrics": true });
  const { url } = served;
  const usedBytes = async (): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(/blob_bytes(?:\{[^}]*\})? (\d+)/.exec(text)?.[1]);
  };
  await pushImage(url, "own/app", "v1", { layer: "o".repeat(10_000) });
  for (const name of ["a", "b", "c", "a"]) {
    expect(await pull(url, `up/lib/${name}`, "v1")).toStartWith("sha256:");
    expect(await usedBytes()).toBeLessThanOrEqual(110_000);
    expect(await usedBytes()).toBeGreaterThan(50_000);
  }
  expect(await pull(url, "up/lib/large", "v1")).toBe("403 DENIED");
  expect(await pull(url, "own/app", "v1")).toStartWith("sha256:");
  // For what is pushed mirrored blobs go, too; what was pushed never does.
  await pushImage(url, "own/app", "v2", { layer: "p".repeat(30_000) });
  const body = "q".repeat(60_000);
  const query = `digest=${encodeURIComponent(sha256(body))}`;
  const refused = await fetch(`${url}/v2/own/app/blobs/uploads/?${query}`, {
    method: "POST",
    body,
  });
  expect(await errorOf(refused)).toBe("403 DENIED");
});

test("a blob is fetched once for all who ask, and they read along while it arrives", async () => {
  const layer = Buffer.alloc(2_000_000, "along");
  const { promise, resolve } = Promise.withResolvers<void>();
  const upstream = upstreamOf(
    layer,
    () =>
      new ReadableStream({
        start: async (controller) => {
          controller.enqueue(layer.subarray(0, 1_000_000));
          controller.enqueue(layer.subarray(1_000_000, 1_500_000));
          await promise;
          controller.enqueue(layer.subarray(1_500_000));
          controller.close();
        },
      }),
  );
  const { url } = await mirror([{ prefix: "up", registry: upstream.host }]);
  await fetch(`${url}/v2/up/a/manifests/v1`);
  const path = `${url}/v2/up/a/blobs/${sha256(layer)}`;
  const replies = await Promise.all(Array.from({ length: 8 }, () => fetch(path)));
  const early = replies[0]!.body!.getReader();
  let seen = 0;
  // The upstream holds its last part back: half of it is with the client all the same.
  while (seen < 900_000) seen += ((await early.read()) as { value: Uint8Array }).value.length;
  resolve();
  const bodies = await Promise.all(replies.slice(1).map((reply) => reply.bytes()));
  for (const body of bodies) expect(sha256(body)).toBe(sha256(layer));
  expect(upstream.asked.length).toBe(1);
  await upstream.stop();
});

test("a blob that is not what its digest says never arrives whole, and is not kept", async () => {
  const layer = Buffer.alloc(100_000, "good");
  const bad = Buffer.from(layer);
  bad[50_000] = 0;
  const upstream = upstreamOf(layer, () => new Response(bad).body ?? undefined);
  const { url } = await mirror([{ prefix: "up", registry: upstream.host }]);
  await fetch(`${url}/v2/up/a/manifests/v1`);
  const get = (): Promise<string> =>
    fetch(`${url}/v2/up/a/blobs/${sha256(layer)}`).then(
      async (reply) => (await reply.bytes().catch(() => Buffer.alloc(0))).length.toString(),
      () => "cut",
    );
  expect(Number(await get()) < layer.length || (await get()) === "cut").toBe(true);
  await until("another try", async () => {
    await get();
    return upstream.asked.length > 1;
  });
  await upstream.stop();
});

test("what refers to an image is told by its upstream, and comes through like the image", async () => {
  const origin = await serve();
  const digest = await pushImage(origin.url, "team/app", "v1");
  const base = (await (await fetch(`${origin.url}/v2/team/app/manifests/v1`)).json()) as Parts;
  const attach = async (artifactType: string): Promise<string> => {
    const { config } = base;
    const subject = { mediaType: OCI_MANIFEST, digest, size: 1 };
    const text = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType,
      config,
      layers: [],
      subject,
      annotations: { of: artifactType },
    });
    const reply = await putManifest(origin.url, "team/app", sha256(text), text);
    expect(reply.status).toBe(201);
    return sha256(text);
  };
  const signature = await attach("application/x.signature");
  const scan = await attach("application/x.scan");
  const dataRoot = `${temporaryDirectory()}/data`;
  const upstreams = [{ prefix: "up", registry: origin.host, "tag-ttl-seconds": 0 }];
  const first = await mirror(upstreams, dataRoot);
  const list = async (query = "") => {
    const reply = await fetch(`${first.url}/v2/up/team/app/referrers/${digest}${query}`);
    expect(reply.headers.get("content-type")).toBe(OCI_INDEX);
    const { manifests } = (await reply.json()) as {
      manifests: { digest: string; artifactType: string; annotations?: object }[];
    };
    return manifests;
  };
  expect((await list()).map((one) => one.digest)).toEqual([signature, scan].toSorted());
  const [filtered, ...rest] = await list("?artifactType=application/x.signature");
  expect([filtered?.digest, filtered?.annotations, rest.length]).toEqual([
    signature,
    { of: "application/x.signature" },
    0,
  ]);
  const page = await list("?n=1");
  expect(page).toHaveLength(1);
  expect((await list(`?n=1&last=${page[0]!.digest}`)).length).toBe(1);
  expect(await pull(first.url, "up/team/app", signature)).toBe(signature);
  // A later one is seen; without the upstream what came through is.
  const later = await attach("application/x.later");
  expect((await list()).map((one) => one.digest)).toContain(later);
  await pull(first.url, "up/team/app", "v1");
  await origin.end("SIGTERM");
  expect((await list()).map((one) => one.digest)).toEqual([signature]);
});
