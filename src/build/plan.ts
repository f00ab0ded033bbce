/** What a resolved step becomes a vertex from. */
import type { BuildSession } from "#build/session.ts";
import type { Vertex } from "#build/solver.ts";
import type { StageState } from "#build/state.ts";
import type { Plan } from "#spec/dockerfile/plan.ts";

/** Where a stage is. */
export interface StagePoint {
  readonly session: BuildSession;
  /** With the triggers of the stage's base. */
  readonly plan: Plan;
  readonly state: StageState;
  /** Index of the step that is planned; -1 for a trigger. */
  readonly step: number;
}

export interface Planned {
  readonly vertex: Vertex;
  /** Of COPY and ADD: "file:… in /dest ". */
  readonly content?: string;
}
