/**
 * What a build of a Dockerfile comes to, as data: which stages, images and contexts the target needs, and
 * each instruction with its variables resolved. Pure, hence in two strides, because what a base image
 * says (environment, directory, user, shell, triggers) is known only after it was looked up:
 *
 *     planDockerfile(file, options) ──► Plan: stages, their bases and sources      (plan-graph.ts)
 *         │  the caller looks up the configs of the images that baseImages(plan) names. Does one
 *         │  have ONBUILD triggers, it plans again with options.triggers, until nothing new appears
 *         ▼
 *     resolveStage(plan, stage, base) ──► ResolvedStage: steps, the image's config (plan-stage.ts)
 *         `base` is an image's config, or the ResolvedStage of the stage that it is built on
 *
 * Stages stand in the order of the file; a stage reads only from stages before it, so that resolving them
 * in order always finds its base. Errors are DockerfileErrors at the instruction to blame.
 */
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import type {
  CacheSharing,
  Dockerfile,
  RunDevice,
  RunNetwork,
  RunSecurity,
  Stage,
  StageInstruction,
} from "#spec/dockerfile/dockerfile.ts";
import type { Platform } from "#spec/image/platform.ts";

/** The part of an image's config that instructions read and write. */
export type RunConfig = Readonly<Partial<ContainerConfig>>;

export interface PlanOptions {
  /** A stage's name or number; the last stage when absent. */
  readonly target?: string | undefined;
  /** Only those with a value. */
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly targetPlatform: Platform;
  readonly buildPlatform: Platform;
  /** Names of the named contexts that came with the build. They go before stages and images. */
  readonly contexts?: ReadonlySet<string>;
  /** ONBUILD triggers of base images, by the stage that is built on the image. */
  readonly triggers?: ReadonlyMap<number, readonly string[]>;
  /** All stages, needed or not: for checks. */
  readonly hasAllStages?: boolean;
}

/** Where a stage begins, or where files come from. */
export type Source =
  /** The build's own context. */
  | { readonly kind: "context" }
  | { readonly kind: "named"; readonly name: string }
  | { readonly kind: "stage"; readonly index: number }
  /** `reference` in full: docker.io/library/debian:latest. `written`: as the Dockerfile has it. */
  | {
      readonly kind: "image";
      readonly reference: string;
      readonly written: string;
      readonly platform: Platform;
    }
  | { readonly kind: "scratch" };

export interface PlannedInstruction {
  readonly instruction: StageInstruction;
  /** It comes from the base's ONBUILD. */
  readonly isTrigger: boolean;
  /** Where COPY copies from, and RUN's mounts in their order; undefined: has no source of its own. */
  readonly sources: readonly (Source | undefined)[];
}

export interface PlannedStage {
  readonly index: number;
  readonly stage: Stage;
  /** "build", "stage-1"; "" when it is the only stage. */
  readonly label: string;
  readonly base: Source;
  /** What `--platform` or the build's target says; for a stage on a stage, that one's. */
  readonly platform: Platform;
  readonly instructions: readonly PlannedInstruction[];
}

export interface Plan {
  readonly dockerfile: Dockerfile;
  readonly options: PlanOptions;
  /** Automatic platform ARGs and those before the first FROM, with the values of this build. */
  readonly globalArgs: ReadonlyMap<string, string>;
  /** Proxies for the environment of RUN, in both cases; not part of a cache key, and never in an image. */
  readonly proxyEnv: ReadonlyMap<string, string>;
  /** Index of the stage that becomes the result. */
  readonly target: number;
  /** The needed ones, in the order of the file. */
  readonly stages: readonly PlannedStage[];
}

/** What a source of COPY or ADD is. */
export type FileOrigin =
  /** A path or a pattern below the root of where files come from; it begins with "/". */
  | { readonly kind: "path"; readonly path: string; readonly written: string }
  /** COPY --parents: what matches `pattern` below `pivot`, with its directories below the pivot. */
  | {
      readonly kind: "parents";
      readonly pivot: string;
      readonly pattern: string;
      readonly written: string;
    }
  | { readonly kind: "url"; readonly url: string; readonly fileName: string }
  | { readonly kind: "git"; readonly git: GitOrigin };

export interface GitOrigin {
  readonly remote: string;
  /** "" = the remote's own. */
  readonly ref: string;
  /** "" = all of it. */
  readonly subdirectory: string;
  /** A commit that must be found there. */
  readonly checksum: string;
  readonly keepsGitDir: boolean;
  readonly hasSubmodules: boolean;
  readonly timesFrom: "checkout" | "commit";
  readonly isFetchedByCommit: boolean;
}

interface StepCommon {
  readonly instruction: StageInstruction;
  readonly isTrigger: boolean;
  /** For progress: the line with variables filled in, the keyword in upper case. */
  readonly title: string;
  /** For the image's history. */
  readonly createdBy: string;
  /** The image's config with this step. */
  readonly config: RunConfig;
}

/** Changes the config alone: no layer. */
export interface ConfigStep extends StepCommon {
  readonly kind: "config";
  /** The words it is about with their variables resolved: names of ENV and ARG, ports, the directory. */
  readonly keys: readonly string[];
}

/** Makes a directory (0755), owned by `user` ("" = root). */
export interface WorkdirStep extends StepCommon {
  readonly kind: "workdir";
  readonly path: string;
  /** The directory as it was given. */
  readonly keys: readonly string[];
  readonly user: string;
}

export type PlannedMount =
  | {
      readonly type: "bind";
      readonly from: Source;
      readonly source: string;
      readonly target: string;
      readonly isReadonly: boolean;
    }
  | {
      readonly type: "cache";
      readonly id: string;
      readonly sharing: CacheSharing;
      /** What it holds at first. */
      readonly from: Source;
      readonly source: string;
      readonly target: string;
      readonly isReadonly: boolean;
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
      /** False: uid, gid and mode are defaults. */
      readonly hasOwner: boolean;
    }
  | {
      readonly type: "tmpfs";
      readonly target: string;
      readonly sizeLimitBytes: number | undefined;
      readonly isReadonly: boolean;
    }
  | {
      readonly type: "secret";
      readonly id: string;
      /** undefined: only in the environment. */
      readonly target: string | undefined;
      /** undefined: only as a file. */
      readonly env: string | undefined;
      readonly isRequired: boolean;
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
    }
  | {
      readonly type: "ssh";
      readonly id: string;
      /** undefined: /run/buildkit/ssh_agent.N. SSH_AUTH_SOCK says which. */
      readonly target: string | undefined;
      readonly isRequired: boolean;
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
    };

export interface RunStep extends StepCommon {
  readonly kind: "run";
  readonly args: readonly string[];
  /** The image's and the ARGs', "NAME=value"; Plan.proxyEnv comes below it. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly mounts: readonly PlannedMount[];
  readonly network: RunNetwork;
  readonly security: RunSecurity;
  readonly devices: readonly RunDevice[];
  /** A here-document with its own interpreter: to be there, read-only and executable, while it runs. */
  readonly script: { readonly path: string; readonly content: string } | undefined;
}

/** COPY and ADD. */
export interface CopyStep extends StepCommon {
  readonly kind: "copy";
  readonly isAdd: boolean;
  readonly from: Source;
  readonly origins: readonly FileOrigin[];
  /** Files (0644) whose content stands in the Dockerfile. */
  readonly inlineFiles: readonly { readonly name: string; readonly content: string }[];
  /** Absolute. With "/" or "/." at its end, or with several origins, it is a directory. */
  readonly destination: string;
  /** "user[:group]"; undefined: root. */
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly isLink: boolean;
  readonly excludes: readonly string[];
  /** Of a URL's content; a git origin has its own. */
  readonly checksum: string | undefined;
  /** Whether archives are unpacked; for URLs only when `--unpack` says so. */
  readonly unpacksLocal: boolean;
  readonly unpacksUrls: boolean;
}

export type Step = ConfigStep | WorkdirStep | RunStep | CopyStep;

/** What a stage hands to a stage that is built on it. */
export interface StageState {
  readonly config: RunConfig;
  readonly author: string | undefined;
  /** ENVs and ARGs, as RUN sees them. */
  readonly env: ReadonlyMap<string, string>;
  /** ARGs declared so far, in order; undefined: without a value. */
  readonly args: ReadonlyMap<string, string | undefined>;
}

export interface ResolvedStage {
  readonly planned: PlannedStage;
  readonly steps: readonly Step[];
  readonly state: StageState;
}
