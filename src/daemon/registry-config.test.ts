import { expect, test } from "bun:test";
import { registryOptionsOf } from "#daemon/registry-config.ts";

const of = (values: Record<string, unknown>, environment: Record<string, string> = {}) =>
  registryOptionsOf(new Map(Object.entries(values)), environment);

test("nothing said: docker's own numbers, no mirrors, the environment's proxies", () => {
  const { maxDownloads, maxUploads, remote } = of({}, { HTTPS_PROXY: "http://p:1", no_proxy: "x" });
  expect([maxDownloads, maxUploads, remote.maxAttempts]).toEqual([3, 5, 5]);
  expect(remote.proxy).toEqual({ http: "", https: "http://p:1", none: "x" });
  expect(remote.rules).toEqual({});
});

test("flags before the file's proxies before the environment", () => {
  const proxies = { "https-proxy": "http://file:1", "http-proxy": "http://file:2" };
  const { proxy } = of({ proxies, "http-proxy": "http://flag:1" }, { NO_PROXY: "n" }).remote;
  expect(proxy).toEqual({ http: "http://flag:1", https: "http://file:1", none: "n" });
});

test("rules by prefix", () => {
  const rules = {
    "ghcr.io": { mirrors: ["m.local:5000/x"], insecure: true },
    tool: { location: "a.io/t" },
  };
  expect(of({ registries: rules }).remote.rules).toEqual(rules);
});

const REFUSED: [values: Record<string, unknown>, words: string][] = [
  [{ "registry-mirrors": ["mirror.local"] }, "must be a URL"],
  [{ "registry-mirrors": ["https://u:p@m/"] }, "may have a host and a path only"],
  [{ "insecure-registries": ["http://x"] }, "should not contain '://'"],
  [{ "insecure-registries": ["a b"] }, "is not valid"],
  [{ "max-concurrent-downloads": 0 }, "must be 1 or more"],
  [{ registries: { "x.io": { mirror: ["a"] } } }, 'unknown key "mirror"'],
  [{ registries: { "x.io": { blocked: "yes" } } }, '"blocked" must be true or false'],
  [{ registries: { "x.io": [] } }, "must be an object"],
  [{ proxies: { socks: "x" } }, 'unknown key "socks"'],
];
for (const [values, words] of REFUSED) {
  test(`${JSON.stringify(values)} is refused`, () => {
    expect(() => of(values)).toThrow(words);
  });
}
