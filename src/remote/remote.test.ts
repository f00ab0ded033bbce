import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toNaruError } from "#lib/errors.ts";
import { createRemote } from "#remote/client.ts";
import { downloadBlob } from "#remote/download.ts";
import { type FakeRegistry, TEST_CONFIG, startRegistry } from "#remote/registry.fake.ts";
import type { RemoteConfig, Repository } from "#remote/remote.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { digestOf } from "#spec/image/digest.ts";
import { parseReference } from "#spec/image/reference.ts";

const signal = new AbortController().signal;
let registry: FakeRegistry;
let folder: string;
beforeEach(() => {
  registry = startRegistry();
  folder = mkdtempSync(join(tmpdir(), "naru-remote-"));
});
afterEach(() => {
  registry[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const CONTENT = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * at) % 251));
const addBlob = (bytes: Uint8Array = CONTENT): Descriptor => {
  registry.blobs.set(digestOf(bytes), bytes);
  return { mediaType: "application/octet-stream", digest: digestOf(bytes), size: bytes.length };
};
const repositoryOf = (
  credentials: AuthConfig = {},
  config: Partial<RemoteConfig> = {},
): Repository =>
  createRemote({ ...TEST_CONFIG, ...config }).repository(
    parseReference(`${registry.host}/a/x:1`),
    credentials,
  );
const download = async (blob: Descriptor, repository = repositoryOf()): Promise<Buffer> => {
  const file = join(folder, "blob");
  await downloadBlob({
    repository,
    blob,
    file,
    maxAttempts: 3,
    signal,
    onProgress: () => undefined,
  });
  return Buffer.from(await Bun.file(file).bytes());
};
const failureOf = async (work: Promise<unknown>): Promise<[code: string, message: string]> => {
  try {
    await work;
  } catch (thrown) {
    const { code, message } = toNaruError(thrown);
    return [code, message];
  }
  return ["none", "it did not fail"];
};

for (const hasRanges of [true, false]) {
  test(`a blob cut at every tenth arrives whole, ${hasRanges ? "by ranges" : "without ranges"}`, async () => {
    const blob = addBlob();
    registry.faults.hasRanges = hasRanges;
    const tenth = CONTENT.length / 10;
    // Without ranges each answer starts anew and is cut a little later.
    registry.faults.cuts = Array.from({ length: 9 }, (_, at) =>
      hasRanges ? tenth : tenth * (at + 1),
    );
    expect((await download(blob)).equals(CONTENT)).toBe(true);
    expect(registry.faults.cuts).toEqual([]);
  }, 300_000);
}

test("a blob goes on where an earlier process stopped", async () => {
  const blob = addBlob();
  writeFileSync(join(folder, "blob"), CONTENT.subarray(0, 150_000));
  expect((await download(blob)).equals(CONTENT)).toBe(true);
  registry.faults.otherContent = Buffer.alloc(10);
  expect((await download(blob)).equals(CONTENT)).toBe(true); // nothing was left to ask for
});

test("a wrong beginning is thrown away, and the blob fetched anew", async () => {
  const blob = addBlob();
  writeFileSync(join(folder, "blob"), Buffer.alloc(1000, 1));
  expect((await download(blob)).equals(CONTENT)).toBe(true);
});

test("wrong content, too short, too long: data_loss, and nothing stays", async () => {
  const blob = addBlob();
  registry.faults.otherContent = Buffer.alloc(CONTENT.length, 1);
  expect((await failureOf(download(blob)))[1]).toStartWith("filesystem layer verification failed");
  for (const length of [100, CONTENT.length + 100]) {
    registry.faults.otherContent = Buffer.alloc(length, 1);
    expect((await failureOf(download(blob)))[0]).toBe("data_loss");
  }
  expect(existsSync(join(folder, "blob"))).toBe(false);
});

test("429 is waited for as Retry-After says, and given up in the end", async () => {
  const blob = addBlob();
  registry.faults.refusals = [{ status: 429, retryAfter: "1" }];
  const before = performance.now();
  expect((await download(blob)).equals(CONTENT)).toBe(true);
  expect(performance.now() - before).toBeGreaterThan(990);
  rmSync(join(folder, "blob"));
  registry.faults.refusals = Array.from({ length: 9 }, () => ({ status: 429, retryAfter: "0" }));
  expect(await failureOf(repositoryOf().manifest("1", signal))).toEqual([
    "resource_exhausted",
    "toomanyrequests: toomanyrequests",
  ]);
  registry.faults.refusals = [{ status: 429, retryAfter: "4000" }];
  expect((await failureOf(download(blob)))[0]).toBe("resource_exhausted");
});

test("a cut upload goes on from where the registry says", async () => {
  const upload = (await repositoryOf().upload({}, signal))!;
  registry.faults.cuts = [70_000];
  const appended = upload.append(() => new Blob([CONTENT]), CONTENT.length, signal);
  expect((await failureOf(appended))[0]).toBe("unavailable");
  await upload.resume(signal);
  expect(upload.offset).toBe(70_000);
  const rest = CONTENT.subarray(70_000);
  await upload.append(() => new Blob([rest]), rest.length, signal);
  await upload.finish(digestOf(CONTENT), signal);
  expect(Buffer.from(registry.blobs.get(digestOf(CONTENT))!).equals(CONTENT)).toBe(true);
});

test("a list of tags with something else in it is refused: names are made of them", async () => {
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => Response.json({ name: "a/b", tags: ["1", "../../c"] }),
  });
  const reference = parseReference(`127.0.0.1:${server.port}/a/b`);
  const tags = createRemote(TEST_CONFIG).repository(reference, {}).tags(signal);
  expect((await failureOf(tags))[1]).toContain('"../../c" is no tag');
});

test("a manifest that is not its digest is refused", async () => {
  const digest = registry.addImage("1", []);
  const repository = repositoryOf();
  expect((await repository.manifest("1", signal)).descriptor.digest).toBe(digest);
  registry.manifests.set(digest, { text: "{}", type: "application/json" });
  expect((await failureOf(repository.manifest(digest, signal)))[0]).toBe("data_loss");
  const large = { text: " ".repeat(5 * 1024 * 1024), type: "application/json" };
  registry.manifests.set("large", large);
  expect((await failureOf(repository.manifest("large", signal)))[0]).toBe("resource_exhausted");
});

test("Basic: asked once, then sent along; without credentials it is said so", async () => {
  registry.addImage("1", []);
  registry.faults.basic = "u:p";
  const repository = repositoryOf({ username: "u", password: "p" });
  await repository.manifest("1", signal);
  await repository.manifest("1", signal);
  expect(registry.log.filter((line) => line.includes("manifests"))).toEqual([
    `GET /v2/a/x/manifests/1 Basic ${btoa("u:p")}`,
    `GET /v2/a/x/manifests/1 Basic ${btoa("u:p")}`,
  ]);
  expect((await failureOf(repositoryOf().manifest("1", signal)))[1]).toEndWith(
    "no basic auth credentials",
  );
  const wrong = repositoryOf({ username: "u", password: "x" });
  expect((await failureOf(wrong.manifest("1", signal)))[0]).toBe("unauthenticated");
});

test("Bearer: one token for many requests, a new one when it has ended", async () => {
  registry.addImage("1", []);
  registry.faults.tokens = { realm: `${registry.url}/token`, uses: 2 };
  const repository = repositoryOf({ username: "u", password: "p" });
  for (let count = 0; count < 4; count += 1) await repository.manifest("1", signal);
  expect(registry.tokenLog).toEqual(
    Array.from(
      { length: 2 },
      () => `?service=fake&scope=repository%3Aa%2Fx%3Apull&account=u Basic ${btoa("u:p")}`,
    ),
  );
});

test("a token that ends between the pieces of a blob is renewed", async () => {
  const blob = addBlob();
  registry.faults.tokens = { realm: `${registry.url}/token`, uses: 1 };
  registry.faults.cuts = [50_000, 50_000];
  expect((await download(blob)).equals(CONTENT)).toBe(true);
  expect(registry.tokenLog.length).toBe(3);
});

test("a redirect to elsewhere carries no credentials", async () => {
  using other = startRegistry();
  const blob = addBlob();
  other.blobs.set(blob.digest, CONTENT);
  registry.faults.basic = "u:p";
  registry.faults.redirect = `${other.url}/v2/y/blobs/`;
  const repository = repositoryOf({ username: "u", password: "p" });
  expect((await download(blob, repository)).equals(CONTENT)).toBe(true);
  expect(other.log).toEqual([`GET /v2/y/blobs/${blob.digest} -`]);
});

test("redirects without end, and to what is no web, are refused", async () => {
  const blob = addBlob();
  for (const [target, words] of [
    [`${registry.url}/v2/a/x/blobs/`, "without an end"],
    ["file:///etc/", "which is not followed"],
  ] as const) {
    registry.faults.redirect = target;
    expect((await failureOf(repositoryOf().blobText(blob, 1e6, signal)))[1]).toContain(words);
  }
});

test("a token server is believed by rules only", async () => {
  registry.addImage("1", []);
  const login = { username: "u", password: "p" };
  const attempt = async (realm: string, host = registry.host): Promise<string> => {
    registry.faults.tokens = { realm, uses: 5 };
    const remote = createRemote(TEST_CONFIG);
    const repository = remote.repository(parseReference(`${host}/a/x:1`), login);
    return (await failureOf(repository.manifest("1", signal)))[1];
  };
  expect(await attempt("http://auth.example/token")).toContain("has no TLS");
  expect(await attempt("ftp://localhost/token")).toContain("neither http nor https");
  expect(await attempt("http://u:p@localhost/token")).toContain("carries a password");
  expect(await attempt("token")).toContain("is no URL");
  expect(registry.tokenLog).toEqual([]);
});

test("a mirror is asked first, gets no credentials, and may fail", async () => {
  using mirror = startRegistry();
  registry.addImage("1", []);
  const blob = addBlob();
  mirror.blobs.set(blob.digest, CONTENT);
  const rules = { [`${registry.host}/a`]: { mirrors: [`${mirror.url}/base`] } };
  const repository = repositoryOf({ username: "u", password: "p" }, { rules });
  await repository.openBlob(blob, 0, signal).then(({ stream }) => stream.cancel());
  expect(mirror.log).toEqual([`GET /base/v2/a/x/blobs/${blob.digest} -`]);
  await repository.manifest("1", signal);
  expect(mirror.log.at(-1)).toBe("GET /base/v2/a/x/manifests/1 -");
  expect(registry.log.at(-1)).toBe("GET /v2/a/x/manifests/1 -");
});

test("a mirror that keeps cutting off is passed over after its tries, what it brought is kept", async () => {
  using mirror = startRegistry();
  const blob = addBlob();
  mirror.blobs.set(blob.digest, CONTENT);
  mirror.faults.cuts = Array.from({ length: 50 }, () => 1000);
  const rules = { [registry.host]: { mirrors: [mirror.url] } };
  expect(await download(blob, repositoryOf({}, { rules }))).toEqual(CONTENT);
  expect(mirror.log).toHaveLength(3);
  expect(registry.log.at(-1)).toBe(`GET /v2/a/x/blobs/${blob.digest} -`);
  expect(registry.ranges).toEqual(["bytes=3000-"]);
});

test("a mirror that sends something else is passed over; the registry itself is not", async () => {
  using mirror = startRegistry();
  const blob = addBlob();
  const rules = { [registry.host]: { mirrors: [mirror.url] } };
  const other = Buffer.from(CONTENT).fill(7, 100, 200);
  mirror.blobs.set(blob.digest, other);
  expect(await download(blob, repositoryOf({}, { rules }))).toEqual(CONTENT);
  rmSync(join(folder, "blob"));
  // The same, where the wrong part was cut off and the rest came from the registry.
  mirror.faults.cuts = [1000, 1000, 1000];
  expect(await download(blob, repositoryOf({}, { rules }))).toEqual(CONTENT);
  rmSync(join(folder, "blob"));
  registry.faults.otherContent = other;
  const [code] = await failureOf(download(blob, repositoryOf({}, { rules })));
  expect(code).toBe("data_loss");
});

test("a proxy is asked for what is not near; it hears no credentials of the registry's user", async () => {
  registry.addImage("1", []);
  const asked: string[] = [];
  using proxy = Bun.serve({
    port: 0,
    fetch: async (request) => {
      const url = new URL(request.url);
      if (request.method === "CONNECT") return new Response(null, { status: 502 });
      asked.push(
        `${request.method} ${request.url} ${request.headers.get("proxy-authorization") ?? "-"}`,
      );
      return await fetch(`${registry.url}${url.pathname}`, { headers: request.headers });
    },
  });
  const config = {
    ...TEST_CONFIG,
    insecure: ["registry.test"],
    proxy: { http: `http://me:pw@localhost:${proxy.port}`, https: "", none: "direct.test" },
  };
  const rules = { "registry.test": { mirrors: ["http://registry.test/m"] } };
  const remote = createRemote({ ...config, rules });
  const repository = remote.repository(parseReference("registry.test/a/x:1"), {});
  expect((await repository.manifest("1", signal)).text).toContain("schemaVersion");
  expect(asked).toEqual([
    `GET http://registry.test/m/v2/a/x/manifests/1?ns=registry.test Basic ${btoa("me:pw")}`,
  ]);
});

test("the environment's proxy is not asked behind the configuration's back", async () => {
  registry.addImage("1", []);
  const names = ["HTTP_PROXY", "http_proxy"];
  const before = names.map((name) => process.env[name]);
  // Nobody listens there.
  for (const name of names) process.env[name] = "http://127.0.0.1:1";
  try {
    const nobody = "http://127.0.0.1:1";
    const proxy = { http: nobody, https: nobody, none: "" };
    const far = createRemote({ ...TEST_CONFIG, insecure: ["registry.test"], proxy });
    const unreached = far.repository(parseReference("registry.test/a:1"), {}).manifest("1", signal);
    expect((await failureOf(unreached))[1]).toContain(
      "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused",
    );
    for (const config of [TEST_CONFIG, { ...TEST_CONFIG, proxy }]) {
      const reference = parseReference(`${registry.host}/a/x:1`);
      const { text } = await createRemote(config).repository(reference, {}).manifest("1", signal);
      expect(text).toContain("schemaVersion");
    }
  } finally {
    for (const [at, name] of names.entries()) {
      if (before[at] === undefined) delete process.env[name];
      else process.env[name] = before[at];
    }
  }
});

test("login: good and bad passwords, an identity token for later, which then stands for both", async () => {
  const login = (password: string) =>
    createRemote(TEST_CONFIG).login(
      { username: "u", password, serveraddress: registry.host },
      signal,
    );
  expect(await login("p")).toEqual({ identityToken: "" }); // open to all
  registry.faults.basic = "u:p";
  expect(await login("p")).toEqual({ identityToken: "" });
  expect((await failureOf(login("wrong")))[1]).toEndWith("failed with status: 401 Unauthorized");
  registry.faults.basic = undefined;
  registry.faults.tokens = { realm: `${registry.url}/token`, uses: 5 };
  expect(await login("p")).toEqual({ identityToken: "identity" });
  expect((await failureOf(login("wrong")))[1]).toContain("incorrect username or password");
  registry.addImage("1", []);
  registry.tokenLog.length = 0;
  await repositoryOf({ username: "u", identitytoken: "identity" }).manifest("1", signal);
  const form = new URLSearchParams(registry.tokenLog[0]!.split(" ")[0]);
  expect([...form]).toEqual([
    ["grant_type", "refresh_token"],
    ["service", "fake"],
    ["client_id", "naru"],
    ["scope", "repository:a/x:pull"],
    ["refresh_token", "identity"],
  ]);
  registry.log.length = 0;
  await failureOf(repositoryOf({ registrytoken: "own" }).manifest("1", signal));
  expect(registry.log.at(-1)).toBe("GET /v2/a/x/manifests/1 Bearer own");
});
