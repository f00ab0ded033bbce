/** What the stages of one build share. */
import type { BuildEvent, BuildRequest, Material, SolvedStep, StepInfo } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { CacheMounts } from "#build/op/cache-mounts.ts";
import type { Solver } from "#build/solver.ts";
import type { StageState } from "#build/state.ts";
import type { LayerTrees, SourceTree } from "#build/trees.ts";
import type { Instruction } from "#spec/dockerfile/dockerfile.ts";
import type { Plan, ResolvedStage, Source } from "#spec/dockerfile/plan.ts";

/** What a finished stage hands on. */
export interface StageResult {
  readonly state: StageState;
  /** What stages on top of it see of its instructions. */
  readonly resolved: ResolvedStage;
}

export interface BuildSession {
  readonly dependencies: BuildDependencies;
  readonly request: BuildRequest;
  readonly plan: Plan;
  readonly steps: ReadonlyMap<Instruction, StepInfo>;
  readonly solver: Solver;
  readonly cacheMounts: CacheMounts;
  readonly trees: LayerTrees;
  /** Aborts when the client leaves, and when a step of any stage fails. */
  readonly signal: AbortSignal;
  /** Everything is dropped at the build's end: holds on layers, downloads. */
  readonly held: DisposableStack;
  /** Every step that was run or found, by the stage's index. */
  /** By address: what was taken from elsewhere. */
  readonly materials: Map<string, Material>;
  readonly solved: (SolvedStep & { readonly stage: number })[];
  /** Starts the stage if nobody did. `plan` has it: that of a stage with triggers may have more than the build's. */
  resultOf(index: number, plan: Plan): Promise<StageResult>;
  /** The image of a named context or of a registry, for `step`: here, made, or pulled. */
  imageState(source: Source, isPlatformAsked: boolean, step: number): Promise<StageState>;
  /** Where files come from, for `step`. */
  treeOf(source: Source, plan: Plan, step: number): Promise<SourceTree>;
  emit(event: BuildEvent): Promise<void>;
  /** A download or a here-document as a tree of its own, gone at the build's end. */
  temporaryTree(name: string): { root: string };
}
