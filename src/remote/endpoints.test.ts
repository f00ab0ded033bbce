import { expect, test } from "bun:test";
import { endpointsOf } from "#remote/endpoints.ts";
import { TEST_CONFIG } from "#remote/registry.fake.ts";
import { parseReference } from "#spec/image/reference.ts";

test("rules: the longest prefix, another location, blocked", () => {
  const config = {
    ...TEST_CONFIG,
    mirrors: ["https://hub.local/"],
    rules: {
      "ghcr.io": { blocked: true },
      "ghcr.io/team": { location: "quay.io/other", mirrors: ["m.local:5000"] },
      tool: { location: "ghcr.io/x/tool" },
    },
  };
  const places = (name: string) =>
    endpointsOf(config, parseReference(name)).map(
      ({ host, base, repository, scheme }) => `${scheme ?? "?"} ${host}${base} ${repository}`,
    );
  expect(places("alpine")).toEqual([
    "https hub.local library/alpine",
    "? registry-1.docker.io library/alpine",
  ]);
  expect(places("ghcr.io/team/a")).toEqual(["? m.local:5000 other/a", "? quay.io other/a"]);
  expect(places("tool")).toEqual(["? ghcr.io x/tool"]);
  expect(() => places("ghcr.io/teams")).toThrow('the rule for "ghcr.io"');
});
