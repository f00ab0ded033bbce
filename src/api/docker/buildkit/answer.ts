/** A message as a call's answer. */
import { type DescMessage, type MessageInitShape, create, toBinary } from "@bufbuild/protobuf";
import type { GrpcCall } from "#api/grpc/server.ts";

export const answer = async <Desc extends DescMessage>(
  call: GrpcCall,
  schema: Desc,
  value: MessageInitShape<Desc>,
): Promise<void> => await call.send(toBinary(schema, create(schema, value)));
