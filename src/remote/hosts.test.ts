import { expect, test } from "bun:test";
import { isInsecureHost, proxyFor } from "#remote/hosts.ts";

test("insecure registries and proxies", () => {
  const insecure = ["10.0.0.0/8", "r.local:5000", "fd00::/8"];
  const cases: Record<string, boolean> = {
    "localhost:5000": true,
    "127.1.2.3": true,
    "[::1]:5000": true,
    "10.2.3.4:5000": true,
    "11.2.3.4": false,
    "r.local:5000": true,
    "r.local": false,
    "[fd12::1]:5000": true,
  };
  for (const [host, expected] of Object.entries(cases)) {
    expect([host, isInsecureHost(host, insecure)]).toEqual([host, expected]);
  }
  const proxy = { http: "p:3128", https: "http://s:1", none: "x.io,.y.io:8443,10.0.0.0/8" };
  const through = (url: string): string => proxyFor(new URL(url), proxy);
  expect(through("http://a.io/")).toBe("http://p:3128");
  expect(through("https://a.io/")).toBe("http://s:1");
  for (const url of [
    "https://x.io/",
    "https://b.x.io",
    "https://y.io:8443",
    "http://10.1.1.1",
    "http://localhost:1",
  ]) {
    expect([url, through(url)]).toEqual([url, ""]);
  }
  expect(through("https://y.io")).toBe("http://s:1");
});
