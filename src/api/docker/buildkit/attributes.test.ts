import { expect, test } from "bun:test";

import { decodeAttributes } from "#api/docker/buildkit/attributes.ts";
import { stepNames } from "#api/docker/buildkit/vertices.ts";

test("the options of a build are decoded", () => {
  const options = decodeAttributes({
    filename: "x/Dockerfile.dev",
    target: "t",
    platform: "linux/amd64",
    "build-arg:A": "1",
    "build-arg:BUILDKIT_SYNTAX": "docker/dockerfile:1",
    "label:l.m": "v",
    "no-cache": "a,b",
    "image-resolve-mode": "pull",
    "add-hosts": "h=1.2.3.4,i=::1",
    "shm-size": "1048576",
    ulimit: "nofile=1:2,core=0",
    "cgroup-parent": "/x",
    "force-network-mode": "host",
    "context:base": "docker-image://alpine:3",
    "context:src": "local:src",
    "local-sessionid:src": "abc",
    "attest:provenance": "mode=min,inline-only=true",
    "vcs:revision": "x",
  });
  expect(options).toMatchObject({
    filename: "x/Dockerfile.dev",
    target: "t",
    isCacheIgnored: false,
    uncachedStages: ["a", "b"],
    isPulled: true,
    extraHosts: ["h:1.2.3.4", "i:::1"],
    network: "host",
    resources: {
      ShmSize: 1_048_576,
      CgroupParent: "/x",
      Ulimits: [
        { Name: "nofile", Soft: 1, Hard: 2 },
        { Name: "core", Soft: 0, Hard: 0 },
      ],
    },
    labels: { "l.m": "v" },
  });
  expect([...options.buildArgs]).toEqual([["A", "1"]]);
  expect(options.contexts.get("base")).toEqual({ kind: "image", reference: "alpine:3" });
  expect(options.contexts.get("src")).toEqual({ kind: "local", name: "src" });
});

test("contexts that become an image: an input with its config, a layout of the client's", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const config = Buffer.from("{}").toString("base64");
  const { contexts } = decodeAttributes({
    "context:i": "input:context:i",
    "input-metadata:context:i": JSON.stringify({ "containerimage.config": config }),
    "context:l": `oci-layout://store:latest@${digest}`,
  });
  expect(contexts.get("i")).toEqual({ kind: "input", name: "context:i", configText: "{}" });
  expect<unknown>(contexts.get("l")).toEqual({ kind: "layout", store: "store", digest });
});

test("platforms are a list without doubles", () => {
  const platform = "linux/amd64,linux/arm64,linux/aarch64";
  expect(decodeAttributes({ platform }).platforms.map((one) => one.architecture)).toEqual([
    "amd64",
    "arm64",
  ]);
  expect(decodeAttributes({}).platforms).toEqual([]);
});

test("an empty no-cache means every stage", () => {
  expect(decodeAttributes({ "no-cache": "" }).isCacheIgnored).toBe(true);
});

test("what is not supported is refused by name", () => {
  const refused: [Record<string, string>, string][] = [
    [{ platform: "linux/amd64,a/b/c/d" }, "invalid platform"],
    [{ "attest:sbom": "generator=a/b" }, 'scanner "a/b"'],
    [{ "attest:provenance": "mode=most" }, '"mode=most"'],
    [{ "context:x": "ftp://y" }, 'context "x"'],
    [{ "context:x": "oci-layout://store:latest" }, "has no digest"],
    [{ "some-new-option": "1" }, '"some-new-option"'],
    [{ "force-network-mode": "container:x" }, '"container:x"'],
  ];
  for (const [attributes, words] of refused) {
    expect(() => decodeAttributes(attributes)).toThrow(words);
  }
});

test("steps are named by stage and place; what makes no files is not shown", () => {
  const step = (index: number, text: string, stage: string | undefined) => ({
    index,
    text,
    stage,
    line: 1,
  });
  const names = stepNames([
    step(0, "ARG A", undefined),
    step(1, "FROM a AS build", "build"),
    step(2, "ENV X=1", "build"),
    step(3, "RUN make", "build"),
    step(4, "FROM scratch", "1"),
    step(5, "COPY --from=build /x /", "1"),
  ]);
  expect([...names]).toEqual([
    [1, "[build 1/2] FROM a AS build"],
    [3, "[build 2/2] RUN make"],
    [4, "[stage-1 1/2] FROM scratch"],
    [5, "[stage-1 2/2] COPY --from=build /x /"],
  ]);
  expect([...stepNames([step(0, "FROM a", "0")]).values()]).toEqual(["[1/1] FROM a"]);
});
