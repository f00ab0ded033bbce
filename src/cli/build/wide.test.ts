import { expect, test } from "bun:test";

import { packContext } from "#cli/build/packed-context.ts";
import { engineFeatures, outputsOf, requireFeature, wideOf } from "#cli/build/wide.ts";
import { responseError } from "#client/errors.ts";

const flags = (given: object = {}) => ({
  annotation: [],
  attest: [],
  load: false,
  output: [],
  platform: undefined,
  provenance: undefined,
  push: false,
  sbom: undefined,
  tag: ["a:1"],
  ...given,
});

const wide = (given: object) => wideOf(flags(given), outputsOf(flags(given)));

test("an image here, and what is read out of it, needs nothing of the engine's exporters", () => {
  expect(wide({})).toBeUndefined();
  expect(wide({ platform: "linux/arm64", output: ["out", "type=oci,dest=a.tar"] })).toBeUndefined();
  expect(wide({ load: true, provenance: "false" })).toBeUndefined();
});

test("platforms, attestations, pushes and forms go to the engine", () => {
  expect(wide({ platform: "linux/amd64,linux/arm64" })).toEqual({
    platforms: ["linux/amd64", "linux/arm64"],
    attest: {},
    outputs: [{ type: "image", attributes: { name: "a:1" } }],
  });
  expect(wide({ push: true })?.outputs).toEqual([
    { type: "image", attributes: { name: "a:1", push: "true" } },
  ]);
  expect(wide({ attest: ["type=provenance,mode=max"], sbom: "true" })?.attest).toEqual({
    provenance: "mode=max",
    sbom: "",
  });
  expect(wide({ attest: ["type=sbom"], sbom: "false", push: true })?.attest).toEqual({});
  const archive = "type=oci,dest=d,tar=false,compression=zstd,name=a";
  expect(wide({ output: [archive] })?.outputs).toEqual([
    { type: "oci", attributes: { name: "a:1,a", compression: "zstd" } },
  ]);
  const annotation = ["a=1", "index:b=2", "manifest[linux/amd64]:c=3"];
  expect(wide({ annotation })?.outputs[0]?.attributes).toEqual({
    name: "a:1",
    "annotation-manifest.a": "1",
    "annotation-index.b": "2",
    "annotation-manifest[linux/amd64].c": "3",
  });
  expect(() => wide({ push: true, tag: [] })).toThrow("needs a name");
  expect(() => wide({ attest: ["type=other"] })).toThrow('attestation "type=other"');
});

test("every image gets the names of --tag and its own, and no other output's", () => {
  const output = ["type=image,name=b:1,compression=zstd", "type=oci,dest=a.tar", "type=tar,dest=t"];
  expect(
    wide({ output, tag: ["a:1", "b:1"] })?.outputs.map(({ attributes }) => attributes),
  ).toEqual([{ name: "a:1,b:1", compression: "zstd" }, { name: "a:1,b:1" }, {}]);
  const two = ["type=registry,name=r.test/x:1", "type=image,name=here:1"];
  expect(
    wide({ output: two, tag: [] })?.outputs.map(({ attributes }) => attributes["name"]),
  ).toEqual(["r.test/x:1", "here:1"]);
});

test("a Docker archive without a destination goes into the engine, also beside what needs its exporters", () => {
  const output = ["type=docker,name=b:1", "type=docker,dest=a.tar"];
  expect(wide({ output, provenance: "true" })?.outputs).toEqual([
    { type: "image", attributes: { name: "a:1,b:1" } },
    { type: "docker", attributes: { name: "a:1" } },
  ]);
});

test("an engine from before there were features has none, and is not asked for what it would misread", async () => {
  const engine = (answer: () => Promise<unknown>) => ({ call: answer }) as never;
  const older = engine(() => Promise.reject(responseError(404, '{"message":"page not found"}')));
  expect(await engineFeatures(older)).toEqual([]);
  const here = engine(() => Promise.resolve({ version: "1", features: ["facts"] }));
  expect(await engineFeatures(here)).toEqual(["facts"]);
  const gone = engine(() => Promise.reject(responseError(500, "broken")));
  expect(engineFeatures(gone)).rejects.toThrow("broken");
  expect(() => requireFeature(["facts"], "outputs", "this")).toThrow("restart the engine");
  expect(() => requireFeature(["outputs"], "outputs", "this")).not.toThrow();
});

test("a context goes as a tar to an engine that does not know facts", async () => {
  const directory = { root: import.meta.dir, prefix: "context/", ignore: "" };
  const pack = (knowsFacts: boolean) =>
    packContext(Buffer.from("FROM scratch"), [directory], { files: 0, bytes: 0 }, () =>
      Promise.resolve(knowsFacts),
    );
  expect(Object.keys((await pack(true)).headers)).toContain("X-Naru-Build-Context-Key");
  expect((await pack(false)).headers).toEqual({});
});
