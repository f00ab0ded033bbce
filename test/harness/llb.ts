/** LLB definitions made by hand, and builds by them over gRPC on the engine's socket. */
import { connect } from "node:net";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import { GrpcClient } from "#api/grpc/client.ts";
import { SolveRequestSchema, SolveResponseSchema } from "#spec/buildkit/control.gen.ts";
import { DefinitionSchema, type Op, OpSchema } from "#spec/buildkit/llb.gen.ts";
import { digestOf } from "#spec/image/digest.ts";

import { engine } from "./check.ts";

type OpInit = NonNullable<Parameters<typeof create<typeof OpSchema>>[1]>;

/** Operations in the order they are added; each is pointed at by what `add` gives. */
export class Definition {
  readonly #ops: Uint8Array[] = [];

  add(
    op: OpInit["op"],
    inputs: readonly Op["inputs"][number][] | readonly InputOf[] = [],
  ): InputOf {
    const bytes = toBinary(OpSchema, create(OpSchema, { op, inputs: [...inputs] } as OpInit));
    this.#ops.push(bytes);
    return { digest: digestOf(bytes), index: 0n };
  }

  encode(result: InputOf): Uint8Array {
    const head = toBinary(OpSchema, create(OpSchema, { inputs: [result] }));
    return toBinary(DefinitionSchema, create(DefinitionSchema, { def: [...this.#ops, head] }));
  }
}

export interface InputOf {
  readonly digest: string;
  readonly index: bigint;
}

/** What the exporter told. Throws what the engine says. */
export const solveAs = async (
  name: string,
  definition: Uint8Array,
): Promise<Readonly<Record<string, string>>> => {
  const client = new GrpcClient(connect(engine.host.replace(/^unix:\/\//, "")));
  try {
    const request = create(SolveRequestSchema, {
      ref: `llb-${name.replaceAll(/[^a-z0-9]/g, "-")}-${Math.trunc(Math.random() * 1e9)}`,
      definition,
      exporters: [{ type: "image", attrs: { name } }],
    });
    const answer = await client.call(
      "/moby.buildkit.v1.Control/Solve",
      toBinary(SolveRequestSchema, request),
      AbortSignal.timeout(30_000),
    );
    return fromBinary(SolveResponseSchema, answer).exporterResponse;
  } finally {
    client.close();
  }
};
