import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createLogger } from "#lib/log.ts";
import { buildAccess } from "#daemon/registry/access.ts";
import { parseRegistryConfig } from "#daemon/registry/config.ts";

const directory = mkdtempSync(`${tmpdir()}/naru-registry-config-`);
afterAll(() => rmSync(directory, { recursive: true }));

const parse = (config: object) => {
  const path = `${directory}/config.json`;
  writeFileSync(path, JSON.stringify(config));
  return parseRegistryConfig(["--config-file", path]);
};

const upstream = (registry: string, more: object = {}): object => ({
  upstreams: [{ prefix: "up", registry, ...more }],
});

const WRONG: readonly [config: object, message: string][] = [
  [{ "data-root": "" }, '"data-root" is empty'],
  [{ "max-page": 0 }, '"max-page" must be a whole number of 1 or more, not 0'],
  [{ "max-uploads": 0 }, '"max-uploads" must be a whole number of 1 or more, not 0'],
  [{ "max-connections": 0 }, '"max-connections" must be a whole number of 1 or more'],
  [{ "idle-timeout-seconds": 0 }, '"idle-timeout-seconds" must be a number from 1 to 86400'],
  [{ "upload-expiry-hours": 0 }, '"upload-expiry-hours" must be a number of 0.001 or more'],
  [{ token: { "expiry-seconds": 0 } }, '"expiry-seconds" must be a whole number from 1 to'],
  [{ token: { "public-url": "registry.example" } }, '"public-url" must begin with http'],
  [{ token: { realm: "auth", issuer: "i", keys: "k" } }, '"realm" must begin with http'],
  [{ webhooks: [{ url: "http://x", "timeout-seconds": 0 }] }, '"timeout-seconds" must be'],
  [{ webhooks: [{ url: "http://x", headers: { "a b": "c" } }] }, '"a b" cannot be sent'],
  [{ webhooks: [{ url: "http://x", headers: { a: "b\r\nc: d" } }] }, '"a" cannot be sent'],
  [{ access: [{ users: ["@dev"], actions: ["pull"] }] }, 'access[0]: "groups" has no "dev"'],
  [{ access: [{ users: ["a"], actions: ["*", "pul"] }] }, '"actions" knows'],
  [upstream(""), '"registry" must be a host'],
  [upstream("hub"), '"registry" must be a host such as "docker.io"'],
  [upstream("https://docker.io"), '"registry" must be a host'],
  [upstream("docker.io/library"), '"registry" must be a host'],
  [upstream("ghcr.io", { prefix: "Up" }), 'upstreams[0]: "prefix": "Up" is not a repository name'],
  [upstream("ghcr.io", { username: "me" }), '"username" and "password" belong together'],
  [
    { upstreams: [{ registry: "docker.io" }, { registry: "ghcr.io" }] },
    '"upstreams": two have the prefix ""',
  ],
];
for (const [config, message] of WRONG) {
  test(`refused: ${JSON.stringify(config)}`, () => {
    expect(() => parse(config)).toThrow(message);
  });
}

test("upstreams by every name that an image can have", () => {
  for (const registry of ["docker.io", "index.docker.io", "localhost", "h:5000", "[::1]:5000"]) {
    const [first] = parse(upstream(registry)).upstreams;
    expect(first?.registry).toBe(registry === "index.docker.io" ? "docker.io" : registry);
  }
});

test("what proxies put before a path is said without its slash", () => {
  const { token } = parse({ token: { "public-url": "https://r.example/" } }).access;
  expect(token).toMatchObject({ kind: "own", publicUrl: "https://r.example" });
});

test("rules for users that nobody can log in as are refused", async () => {
  const log = createLogger(() => undefined);
  const config = parse({ access: [{ users: ["alice"], actions: ["pull"] }] });
  const building = buildAccess(config, directory, log);
  expect(building).rejects.toThrow('"access" names "alice", but nobody can log in');
  const open = parse({ access: [{ users: ["anonymous"], actions: ["pull"] }] });
  expect((await buildAccess(open, directory, log)).tokenEndpoint).toBeUndefined();
});
