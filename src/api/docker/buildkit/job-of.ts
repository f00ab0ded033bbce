/** The build that a call of the gateway belongs to: its client names it in the call's metadata. */
import type { DockerBackend } from "#api/docker/backend.ts";
import type { Job } from "#api/docker/buildkit/jobs.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import type { GrpcCall } from "#api/grpc/server.ts";
import { NaruError } from "#lib/errors.ts";

/** Throws invalid_argument when there is none. */
export const jobOf = (backend: DockerBackend, call: GrpcCall): Job => {
  const ref = call.metadata["buildkit-controlapi-buildid"];
  if (typeof ref === "string" && ref !== "") {
    const { jobs } = stateOf(backend);
    // Who asks for a build that was refused at once would wait for its beginning.
    if (!jobs.isOver(ref)) return jobs.expect(ref);
    throw new NaruError("failed_precondition", `build "${ref}" is over`);
  }
  throw new NaruError("invalid_argument", `"${call.path}" came without the id of its build`);
};
