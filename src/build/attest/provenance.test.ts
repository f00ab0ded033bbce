import { expect, test } from "bun:test";
import { type ProvenanceFacts, provenance } from "#build/attest/provenance.ts";

const FACTS: ProvenanceFacts = {
  invocationId: "ref",
  startedAt: "2026-01-02T03:04:05Z",
  finishedAt: "2026-01-02T03:04:06Z",
  platform: "linux/amd64",
  frontend: "dockerfile.v0",
  attributes: {
    filename: "sub/Dockerfile",
    target: "app",
    "build-arg:TOKEN": "private",
    "label:l": "v",
    "attest:provenance": "mode=max",
    "vcs:revision": "abc",
  },
  materials: [{ uri: "pkg:docker/debian@12", digest: { sha256: "ab" } }],
  dockerfile: { name: "sub/Dockerfile", text: "FROM debian:12\n" },
  steps: [{ key: "sha256:01", description: "RUN make" }],
};
const OPTIONS = { mode: "min", version: "v0.2", builderId: "", isReproducible: false } as const;

test("mode=min keeps arguments and labels out, and says so", () => {
  expect(provenance(FACTS, OPTIONS)).toEqual({
    builder: { id: "" },
    buildType: "https://mobyproject.org/buildkit@v1",
    materials: FACTS.materials,
    invocation: {
      configSource: { entryPoint: "sub/Dockerfile" },
      parameters: {
        frontend: "dockerfile.v0",
        args: { target: "app" },
        locals: [{ name: "context" }, { name: "dockerfile" }],
      },
      environment: { platform: "linux/amd64" },
    },
    metadata: {
      buildInvocationID: "ref",
      buildStartedOn: "2026-01-02T03:04:05Z",
      buildFinishedOn: "2026-01-02T03:04:06Z",
      completeness: { parameters: false, environment: true, materials: false },
      reproducible: false,
      "https://mobyproject.org/buildkit@v1#metadata": { vcs: { revision: "abc" } },
    },
  });
});

test("mode=max has them, the Dockerfile and the steps; v1 is another shape of the same", () => {
  const max = JSON.stringify(provenance(FACTS, { ...OPTIONS, mode: "max" }));
  for (const text of ["private", "RUN make", Buffer.from("FROM debian:12\n").toString("base64")]) {
    expect(max).toContain(text);
  }
  expect(provenance(FACTS, { ...OPTIONS, version: "v1", isReproducible: true })).toMatchObject({
    buildDefinition: {
      externalParameters: {
        configSource: { path: "sub/Dockerfile" },
        request: { frontend: "dockerfile.v0", args: { target: "app" } },
      },
      internalParameters: { builderPlatform: "linux/amd64" },
      resolvedDependencies: FACTS.materials,
    },
    runDetails: {
      metadata: { invocationId: "ref", buildkit_reproducible: true },
    },
  });
});
