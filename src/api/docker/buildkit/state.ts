/** What the connections of one daemon share: sessions and builds. */
import type { DockerBackend } from "#api/docker/backend.ts";
import { Jobs } from "#api/docker/buildkit/jobs.ts";
import { NamelessImages } from "#api/docker/buildkit/nameless.ts";
import { Uploads } from "#api/docker/buildkit/upload.ts";
import { Sessions } from "#api/docker/buildkit/sessions.ts";

export interface BuildKitState {
  readonly sessions: Sessions;
  readonly jobs: Jobs;
  readonly uploads: Uploads;
  readonly nameless: NamelessImages;
}

const states = new WeakMap<DockerBackend, BuildKitState>();

/** One for each backend, made at first use: a daemon that builds nothing has none. */
export const stateOf = (backend: DockerBackend): BuildKitState => {
  let state = states.get(backend);
  if (state === undefined) {
    state = {
      sessions: new Sessions(),
      jobs: new Jobs(),
      uploads: new Uploads(),
      nameless: new NamelessImages(),
    };
    states.set(backend, state);
  }
  return state;
};
