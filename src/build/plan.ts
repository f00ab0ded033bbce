/** What the plans of a stage's steps start from and end in. */
import type { StageScope } from "#build/scope.ts";
import type { BuildSession } from "#build/session.ts";
import type { Vertex } from "#build/solver.ts";
import type { RunConfig, StageState } from "#build/state.ts";
import type { Stage } from "#spec/dockerfile/dockerfile.ts";

/** Where a stage is. */
export interface StagePoint {
  readonly session: BuildSession;
  readonly stage: Stage;
  readonly scope: StageScope;
  readonly state: StageState;
  /** Index of the step that is planned. */
  readonly step: number;
}

/** A step: its vertex, and what the image is after it. */
export interface Planned {
  readonly vertex: Vertex;
  readonly config: RunConfig;
  readonly createdBy: string;
  readonly author?: string;
  /** Of a RUN, for messages. */
  readonly command?: string;
}
