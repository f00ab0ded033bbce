/**
 * What failed, for clients that look into it with a process of their own: BuildKit's `errdefs.Solve`, as JSON among the
 * details of a call's status. The results that it names are what the process began with.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";

import type { FailedProcess } from "#build/build.ts";

const TYPE_URL = "github.com/moby/buildkit/errdefs.Solve+json";
/** Trailers are small. What does not fit is told without it. */
const DETAIL_LIMIT_BYTES = 8 * 1024;

/** An encoded google.protobuf.Any; undefined for one that would be too large. `id` names the layers below the process. */
export const solveDetail = (
  { args, env, workingDir, user }: FailedProcess,
  id: string,
): Uint8Array | undefined => {
  const meta = { args, env, cwd: workingDir, user };
  const op = { exec: { meta, mounts: [{ dest: "/" }] } };
  const value = Buffer.from(JSON.stringify({ inputIDs: [id], mountIDs: [id], op }));
  if (value.length > DETAIL_LIMIT_BYTES) return undefined;
  return toBinary(AnySchema, create(AnySchema, { typeUrl: TYPE_URL, value }));
};
