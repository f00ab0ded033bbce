/** What the conformance program does not ask: the edges of the API, on the wire. */
import { connect } from "node:net";

import { afterAll, expect, test } from "bun:test";

import {
  cleanUp,
  errorOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushBlob,
  pushBlobsOf,
  pushImage,
  putManifest,
  serve,
  sha256,
} from "./world.ts";

afterAll(cleanUp);

const { url, host } = await serve();
const get = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`${url}/v2/${path}`, init);

/** As it stands, without a client's tidying of paths. */
const raw = (request: string): Promise<string> =>
  new Promise((done, fail) => {
    const [address = "", port = ""] = host.split(":");
    let answer = "";
    const socket = connect(Number(port), address, () => socket.write(request));
    socket.on("data", (part) => (answer += part.toString()));
    socket.on("end", () => done(answer));
    socket.on("error", fail);
  });

test("a blob by ranges", async () => {
  const digest = await pushBlob(url, "range/a", "0123456789");
  const range = async (field: string): Promise<string> => {
    const reply = await get(`range/a/blobs/${digest}`, { headers: { range: field } });
    return `${reply.status} ${reply.headers.get("content-range")} ${reply.ok ? await reply.text() : ""}`;
  };
  expect(await range("bytes=2-4")).toBe("206 bytes 2-4/10 234");
  expect(await range("bytes=7-")).toBe("206 bytes 7-9/10 789");
  expect(await range("bytes=-3")).toBe("206 bytes 7-9/10 789");
  expect(await range("bytes=8-100")).toBe("206 bytes 8-9/10 89");
  expect(await range("bytes=0-0,2-2")).toBe("200 null 0123456789");
  expect(await range("bytes=10-")).toBe("416 bytes */10 ");
  const head = await get(`range/a/blobs/${digest}`, { method: "HEAD" });
  expect(head.headers.get("content-length")).toBe("10");
  expect(head.headers.get("docker-content-digest")).toBe(digest);
  const known = await get(`range/a/blobs/${digest}`, {
    headers: { "if-none-match": `"${digest}"` },
  });
  expect(known.status).toBe(304);
});

test("ranges as other clients write them", async () => {
  const digest = await pushBlob(url, "range/b", "0123456789");
  const range = async (field: string): Promise<string> => {
    const reply = await get(`range/b/blobs/${digest}`, { headers: { range: field } });
    return `${reply.status} ${reply.headers.get("content-range")}`;
  };
  const far = "9".repeat(40);
  expect(await range(`bytes=2-${far}`)).toBe("206 bytes 2-9/10");
  expect(await range(`bytes=-${far}`)).toBe("206 bytes 0-9/10");
  expect(await range(`bytes=${far}-`)).toBe("416 bytes */10");
  expect(await range("Bytes=2-4, ")).toBe("206 bytes 2-4/10");
  expect(await range("bytes=4-2")).toBe("416 bytes */10");
  expect(await range("items=0-1")).toBe("200 null");
});

test("what a client has already is not sent again, however it says so", async () => {
  const blob = await pushBlob(url, "known/a", "bytes");
  const manifest = await pushImage(url, "known/a", "v1");
  for (const [path, digest] of [
    [`blobs/${blob}`, blob],
    ["manifests/v1", manifest],
  ] as const) {
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await get(`known/a/${path}`, { headers })).status;
    for (const field of [`"${digest}"`, `W/"${digest}"`, `"x", "${digest}"`, digest, "*"]) {
      expect([field, await status({ "if-none-match": field })]).toEqual([field, 304]);
    }
    expect(await status({ "if-none-match": '"x", W/"y"' })).toBe(200);
    expect(await status({ "if-match": `"${digest}"` })).toBe(200);
    expect(await status({ "if-match": '"x"' })).toBe(412);
  }
});

test("tags come page by page, in the spec's order", async () => {
  const manifest = await pushBlobsOf(url, "tags/a");
  for (const tag of ["b", "C", "a", "B", "d"]) await putManifest(url, "tags/a", tag, manifest);
  const seen: string[] = [];
  let path: string | undefined = "/v2/tags/a/tags/list?n=2";
  while (path !== undefined) {
    const reply: Response = await fetch(url + path);
    seen.push(...((await reply.json()) as { tags: string[] }).tags, "|");
    path = /^<([^>]+)>; rel="next"$/.exec(reply.headers.get("link") ?? "")?.[1];
  }
  expect(seen).toEqual(["a", "B", "|", "b", "C", "|", "d", "|"]);
  expect(await (await get("tags/a/tags/list?n=0")).json()).toEqual({ name: "tags/a", tags: [] });
  expect(await errorOf(await get("tags/none/tags/list"))).toBe("404 NAME_UNKNOWN");
  const catalog = (await (await get("_catalog?n=1&last=tags")).json()) as {
    repositories: string[];
  };
  expect(catalog.repositories).toEqual(["tags/a"]);
});

test("manifests are negotiated", async () => {
  const digest = await pushImage(url, "accept/a", "image");
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [
      {
        mediaType: OCI_MANIFEST,
        digest,
        size: 1,
        platform: { os: "linux", architecture: "amd64" },
      },
    ],
  });
  const put = await putManifest(url, "accept/a", "index", index, { "content-type": OCI_INDEX });
  expect(put.status).toBe(201);
  const ask = (accept: string) => get("accept/a/manifests/index", { headers: { accept } });
  expect((await ask("*/*")).headers.get("content-type")).toBe(OCI_INDEX);
  expect((await ask(`${OCI_INDEX}, ${OCI_MANIFEST}`)).headers.get("content-type")).toBe(OCI_INDEX);
  // A client older than indexes gets the image for the usual platform.
  const older = await ask(OCI_MANIFEST);
  expect(older.headers.get("docker-content-digest")).toBe(digest);
  expect(await errorOf(await ask("text/plain"))).toBe("404 MANIFEST_UNKNOWN");
});

test("manifests that are wrong are refused by what is wrong", async () => {
  const manifest = await pushBlobsOf(url, "wrong/a");
  const put = async (reference: string, body: string, type = OCI_MANIFEST) =>
    errorOf(await putManifest(url, "wrong/a", reference, body, { "content-type": type }));
  expect(await put("x", "{")).toBe("400 MANIFEST_INVALID");
  expect(await put("x", manifest, OCI_INDEX)).toBe("400 MANIFEST_INVALID");
  expect(await put("x", manifest, "text/html")).toBe("400 MANIFEST_INVALID");
  expect(await put(sha256("other"), manifest)).toBe("400 DIGEST_INVALID");
  expect(await put("sha256:abc", manifest)).toBe("400 DIGEST_INVALID");
  expect(await put("-x", manifest)).toBe("400 MANIFEST_INVALID");
  expect(await put("x", manifest.replace(sha256("layer"), sha256("absent")))).toBe(
    "404 MANIFEST_BLOB_UNKNOWN",
  );
  expect(await put("x", manifest.replace('"size":5', '"size":6'))).toBe("400 MANIFEST_INVALID");
  for (const version of ['"schemaVersion":3', '"schemaversion":2', '"schemaVersion":"2"']) {
    const odd = manifest.replace('"schemaVersion":2', version);
    expect(await put("x", odd)).toBe("400 MANIFEST_INVALID");
  }
  const schema1 = '{"schemaVersion":1,"name":"a"}';
  expect(await put("x", schema1, "application/vnd.docker.distribution.manifest.v1+prettyjws")).toBe(
    "400 MANIFEST_INVALID",
  );
  expect(await put("x", " ".repeat(4 * 1024 * 1024 + 1))).toBe("413 SIZE_INVALID");
  expect(await errorOf(await get("wrong/a/manifests/x"))).toBe("404 MANIFEST_UNKNOWN");
});

test("referrers by artifact type, page by page", async () => {
  const subject = await pushImage(url, "refer/a", "image");
  const descriptor = { mediaType: OCI_MANIFEST, digest: subject, size: 1 };
  for (const n of [1, 2, 3]) {
    await pushImage(url, "refer/a", `s${n}`, {
      subject: descriptor,
      artifactType: n === 3 ? "test/sbom+json" : "test/signature",
      annotations: { n: String(n) },
    });
  }
  const list = async (query: string) => {
    const reply = await get(`refer/a/referrers/${subject}${query}`);
    const { manifests } = (await reply.json()) as { manifests: { annotations: { n: string } }[] };
    const found = manifests.map((m) => m.annotations.n).toSorted();
    return {
      found,
      filters: reply.headers.get("oci-filters-applied"),
      link: reply.headers.get("link"),
    };
  };
  expect(await list("")).toEqual({ found: ["1", "2", "3"], filters: null, link: null });
  // As it is escaped, and as people write it.
  for (const type of ["test/sbom%2Bjson", "test/sbom+json"]) {
    const filtered = await list(`?artifactType=${type}`);
    expect(filtered).toEqual({ found: ["3"], filters: "artifactType", link: null });
  }
  expect((await list("?n=2")).link).toContain('rel="next"');
  const none = await get(`refer/a/referrers/${sha256("nobody")}`);
  expect([none.status, none.headers.get("content-type")]).toEqual([200, OCI_INDEX]);
});

test("chunks out of order are told where the upload is", async () => {
  const start = await get("chunk/a/blobs/uploads/", { method: "POST" });
  const location = start.headers.get("location") ?? "";
  const patch = (range: string, body: string) =>
    fetch(url + location, { method: "PATCH", body, headers: { "content-range": range } });
  expect((await patch("0-4", "01234")).status).toBe(202);
  const gap = await patch("6-9", "6789");
  expect([gap.status, gap.headers.get("range")]).toEqual([416, "0-4"]);
  expect(await errorOf(await patch("5-9", "56"))).toBe("400 SIZE_INVALID");
  expect((await patch("bytes 5-9/*", "56789")).status).toBe(202);
  const status = await fetch(url + location);
  expect([status.status, status.headers.get("range")]).toEqual([204, "0-9"]);
  const digest = sha256("0123456789");
  expect((await fetch(`${url}${location}?digest=${digest}`, { method: "PUT" })).status).toBe(201);
  expect(await (await get(`chunk/a/blobs/${digest}`)).text()).toBe("0123456789");
  expect(await errorOf(await fetch(url + location))).toBe("404 BLOB_UPLOAD_UNKNOWN");
});

test("a wrong digest leaves nothing", async () => {
  const path = `bad/a/blobs/uploads/?digest=${sha256("one")}`;
  expect(await errorOf(await get(path, { method: "POST", body: "two" }))).toBe(
    "400 DIGEST_INVALID",
  );
  expect(await errorOf(await get(`bad/a/blobs/${sha256("one")}`))).toBe("404 BLOB_UNKNOWN");
  expect(await errorOf(await get(`bad/a/blobs/${sha256("two")}`))).toBe("404 BLOB_UNKNOWN");
});

const HOSTILE = [
  "/v2/../../etc/passwd/manifests/x",
  "/v2/..%2f..%2fetc/manifests/x",
  "/v2/%2e%2e/%2e%2e/blobs/uploads/",
  "/v2/UPPER/manifests/x",
  "/v2/a//b/manifests/x",
  "/v2/a/blobs/uploads/../../../registry.db",
  "/v2/a/blobs/uploads/..%2f..%2fregistry.db",
  "/v2/a/blobs/sha256:..%2f..%2f..%2fregistry.db",
  `/v2/a/blobs/sha256:${"../".repeat(20)}etc/passwd`,
  "/v2/a/blobs/uploads/%00",
  "/v2/a/manifests/..",
  "/v2/a/manifests/%252e%252e",
  "/v2/a%00b/tags/list",
  `/v2/${"a".repeat(300)}/tags/list`,
  "/v2/a/referrers/sha256:zz",
  "/v2/a'--/tags/list",
];
for (const path of HOSTILE) {
  test(`hostile: ${path.slice(0, 60)}`, async () => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const answer = await raw(
        `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 (400|404|405) /);
      expect(answer).toContain('{"errors":[{"code":"');
    }
  });
}

test("a page may be asked for larger than any number", async () => {
  await pushImage(url, "page/a", "v1");
  for (const n of ["", "2147483647", "9".repeat(30)]) {
    const reply = await get(`page/a/tags/list?n=${n}`);
    expect([reply.status, await reply.json()]).toEqual([200, { name: "page/a", tags: ["v1"] }]);
  }
  expect((await get("page/a/tags/list?n=-1")).status).toBe(400);
});

test("methods and paths that are none", async () => {
  expect(await errorOf(await fetch(`${url}/token?service=x`))).toBe("404 UNSUPPORTED");
  const reply = await get("a/tags/list", { method: "PUT" });
  expect([reply.status, reply.headers.get("allow")]).toEqual([405, "GET"]);
  expect((await fetch(`${url}/v3/`)).status).toBe(404);
  expect((await get("")).headers.get("docker-distribution-api-version")).toBe("registry/2.0");
});
