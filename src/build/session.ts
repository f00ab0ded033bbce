/** What the stages of one build share. */
import type { BuildEvent, BuildRequest, StepInfo } from "#build/build.ts";
import type { BuildArguments } from "#build/arguments.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { CacheMounts } from "#build/op/cache-mounts.ts";
import type { Solver } from "#build/solver.ts";
import type { StageState } from "#build/state.ts";
import type { LayerTrees, SourceTree } from "#build/trees.ts";
import type { Dockerfile, Instruction, Stage } from "#spec/dockerfile/dockerfile.ts";
import type { Platform } from "#spec/image/platform.ts";

/** What a finished stage hands on. */
export interface StageResult {
  readonly state: StageState;
  /** ARGs declared in it: stages that start from it see them. */
  readonly declared: ReadonlyMap<string, string | undefined>;
}

export interface BuildSession {
  readonly dependencies: BuildDependencies;
  readonly request: BuildRequest;
  readonly dockerfile: Dockerfile;
  readonly steps: ReadonlyMap<Instruction, StepInfo>;
  readonly buildArguments: BuildArguments;
  readonly solver: Solver;
  readonly cacheMounts: CacheMounts;
  readonly trees: LayerTrees;
  /** Aborts when the client leaves, and when a step of any stage fails. */
  readonly signal: AbortSignal;
  /** Everything is dropped at the build's end: holds on layers, downloads. */
  readonly held: DisposableStack;
  readonly platform: Platform;
  baseOf(stage: Stage): string;
  /** Starts the stage if nobody did. */
  resultOf(stage: Stage): Promise<StageResult>;
  /** An image by name: here, made, or pulled for `step`. */
  imageState(name: string, platform: Platform | undefined, step: number): Promise<StageState>;
  /** What a `from` names, for `step` of `stage`; "" is the build context. */
  treeOf(name: string, stage: Stage, step: number): Promise<SourceTree>;
  emit(event: BuildEvent): Promise<void>;
  /** A download or a here-document as a tree of its own, gone at the build's end. */
  temporaryTree(name: string): { root: string };
}
