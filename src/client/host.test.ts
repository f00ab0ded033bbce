import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { parseHost } from "#client/address.ts";
import { listContexts } from "#client/contexts.ts";
import { resolveHost } from "#client/host.ts";

const folder = mkdtempSync("/tmp/naru-host-test-");
const empty = mkdtempSync("/tmp/naru-host-test-");
afterAll(() => {
  for (const path of [folder, empty]) rmSync(path, { recursive: true, force: true });
});

const id = new Bun.CryptoHasher("sha256").update("far").digest("hex");
mkdirSync(`${folder}/contexts/meta/${id}`, { recursive: true });
mkdirSync(`${folder}/contexts/tls/${id}/docker`, { recursive: true });
writeFileSync(
  `${folder}/contexts/meta/${id}/meta.json`,
  JSON.stringify({
    Name: "far",
    Metadata: { Description: "d" },
    Endpoints: { docker: { Host: "tcp://far:2376" } },
  }),
);
writeFileSync(`${folder}/contexts/tls/${id}/docker/ca.pem`, "CA");
writeFileSync(`${folder}/config.json`, JSON.stringify({ currentContext: "far" }));

describe("addresses", () => {
  const cases: readonly (readonly [string, object])[] = [
    ["unix:///run/x.sock", { kind: "unix", path: "/run/x.sock" }],
    ["/run/x.sock", { kind: "unix", path: "/run/x.sock" }],
    ["ssh://u@h", { kind: "ssh", hostname: "h", user: "u" }],
    ["ssh://h:22/x.sock", { kind: "ssh", hostname: "h", port: 22, path: "/x.sock" }],
    ["tcp://h:1234", { kind: "tcp", hostname: "h", port: 1234 }],
    ["tcp://h:80", { kind: "tcp", hostname: "h", port: 80 }],
    ["tcp://h", { kind: "tcp", hostname: "h", port: 2375 }],
    ["tcp://[::1]:5", { kind: "tcp", hostname: "::1", port: 5 }],
    ["http://h:1", { kind: "tcp", hostname: "h", port: 1 }],
    ["https://h", { kind: "tcp", hostname: "h", port: 2376, tls: { isVerified: true } }],
    ["h:1", { kind: "tcp", hostname: "h", port: 1 }],
  ];
  for (const [text, address] of cases) {
    test(text, () => expect(parseHost(text)).toEqual(address as never));
  }
  for (const text of ["ssh://", "ssh://u:secret@h", "ssh://-oProxyCommand=x", "ssh://h/?x"]) {
    test(text, () => expect(() => parseHost(text)).toThrow("unable to parse"));
  }
  test("nonsense", () => expect(() => parseHost("fd://x")).toThrow("unable to parse"));
});

const resolve = (options: object, env: Record<string, string> = {}, configFolder = empty) =>
  resolveHost({ configFolder, env, ...options });

test("who is asked first", async () => {
  expect(await resolve({})).toEqual({
    address: { kind: "unix", path: "/run/naru/naru.sock" },
    isNamed: false,
    context: "default",
  });
  const env = { NARU_HOST: "unix:///n", DOCKER_HOST: "unix:///d" };
  expect((await resolve({}, env)).address).toEqual({ kind: "unix", path: "/n" });
  expect((await resolve({}, { DOCKER_HOST: "unix:///d" })).address).toEqual({
    kind: "unix",
    path: "/d",
  });
  expect((await resolve({ host: "unix:///h" }, env)).address).toEqual({ kind: "unix", path: "/h" });
  expect(resolve({ host: "unix:///h", context: "far" })).rejects.toThrow("cannot specify both");
});

test("contexts: the current one, a named one, its certificates", async () => {
  const far = {
    address: { kind: "tcp", hostname: "far", port: 2376, tls: { ca: "CA", isVerified: true } },
    isNamed: true,
    context: "far",
  };
  expect(await resolve({}, {}, folder)).toEqual(far as never);
  expect(await resolve({ context: "far" }, { NARU_HOST: "unix:///n" }, folder)).toEqual(
    far as never,
  );
  expect((await resolve({}, { DOCKER_CONTEXT: "default" }, folder)).isNamed).toBe(false);
  expect(resolve({ context: "gone" }, {}, folder)).rejects.toThrow(
    'context "gone": context not found',
  );
  expect((await listContexts(folder)).map((meta) => meta.Name)).toEqual(["far"]);
  expect(await listContexts(empty)).toEqual([]);
});

test("TLS by environment", async () => {
  writeFileSync(`${empty}/ca.pem`, "MY CA");
  const env = { DOCKER_HOST: "tcp://h:1", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: empty };
  expect((await resolve({}, env)).address).toEqual({
    kind: "tcp",
    hostname: "h",
    port: 1,
    tls: { ca: "MY CA", isVerified: true },
  });
  expect(resolve({ caFile: "/nope.pem", tlsVerify: true }, env)).rejects.toThrow(
    'cannot read the TLS file "/nope.pem"',
  );
});
