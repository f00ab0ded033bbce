/** Builds by LLB definitions over gRPC on the engine's socket. */
import { connect } from "node:net";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import { GrpcClient } from "#api/grpc/client.ts";
import { SolveRequestSchema, SolveResponseSchema } from "#spec/buildkit/control.gen.ts";

export { Definition, type InputOf } from "./llb-definition.ts";
import { engine } from "./check.ts";

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
