import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "bun:test";

import { DefinitionSchema, OpSchema } from "#spec/buildkit/llb.gen.ts";
import { decodeDefinition, sourceDefinition } from "#spec/buildkit/llb.ts";
import { digestOf } from "#spec/image/digest.ts";

const define = (...ops: Uint8Array[]): Uint8Array =>
  toBinary(DefinitionSchema, create(DefinitionSchema, { def: ops }));
const head = (digest: string): Uint8Array =>
  toBinary(OpSchema, create(OpSchema, { inputs: [{ digest, index: 2n }] }));
const merge = toBinary(
  OpSchema,
  create(OpSchema, { op: { case: "merge", value: { inputs: [] } } }),
);

test("a graph has its operations by digest, and its result", () => {
  const graph = decodeDefinition(define(merge, head(digestOf(merge))));
  expect([...graph.vertices.values()].map(({ name }) => name)).toEqual(["merge"]);
  expect(graph.result).toEqual({ digest: digestOf(merge), index: 2 });
});

test("no operation at all is an empty tree", () => {
  expect(decodeDefinition(new Uint8Array()).result).toBeUndefined();
});

test("a source is a definition of its own", () => {
  const graph = decodeDefinition(sourceDefinition("local://x"));
  expect([...graph.vertices.values()].map(({ name, op }) => [name, op.case])).toEqual([
    ["local://x", "source"],
  ]);
});

test("what hangs in the air is refused", () => {
  expect(() => decodeDefinition(define(merge))).toThrow("must name the result");
  expect(() => decodeDefinition(define(head("sha256:00")))).toThrow("is not there");
});
