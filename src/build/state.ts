/** What an image is made of while a stage grows: one value, a new one for each step. */
import type { ImageRecord } from "#image/image.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import { formatInstant } from "#lib/clock.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import type { HistoryEntry, ImageConfig } from "#spec/image/config.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { HOST_PLATFORM, type Platform } from "#spec/image/platform.ts";

export type RunConfig = Partial<ContainerConfig>;

export interface StageState {
  /** Lowest first. */
  readonly diffIds: readonly Digest[];
  readonly chainId: Digest | undefined;
  readonly config: RunConfig;
  readonly history: readonly HistoryEntry[];
  readonly platform: Platform;
  readonly author: string;
  /** RFC 3339; "" for nothing yet. */
  readonly created: string;
  /** The image as it is now; undefined for "scratch". */
  readonly image: { readonly id: Digest; readonly text: string } | undefined;
  /** The images that this stage went through, oldest first; the base is not among them. */
  readonly steps: readonly StepImage[];
}

export interface StepImage {
  readonly id: Digest;
  readonly text: string;
  readonly parent: Digest | undefined;
  readonly diffIds: readonly Digest[];
}

export const emptyState = (platform: Platform = HOST_PLATFORM): StageState => ({
  diffIds: [],
  chainId: undefined,
  config: {},
  history: [],
  platform,
  author: "",
  created: "",
  image: undefined,
  steps: [],
});

export const stateOfImage = (record: ImageRecord): StageState => ({
  diffIds: record.config.rootfs.diff_ids,
  chainId: record.chainId,
  config: record.config.config ?? {},
  history: record.config.history ?? [],
  platform: record.platform,
  author: record.config.author ?? "",
  created: record.config.created ?? "",
  image: { id: record.id, text: record.configText },
  steps: [],
});

/** SOURCE_DATE_EPOCH as an image's config says it. */
export const epochInstant = (seconds: number | undefined): string | undefined =>
  seconds === undefined ? undefined : formatInstant(BigInt(seconds) * 1_000_000_000n);

export interface StepChange {
  /** Not in the history. */
  readonly isUntold?: boolean;
  readonly config: RunConfig;
  readonly author?: string;
  /** Layers after the step, topmost. */
  readonly chainId: Digest | undefined;
  /** Of the layer that it added; undefined for none. */
  readonly diffId: Digest | undefined;
  readonly created: string;
  readonly createdBy: string;
  /** Of the history's entry; "" for none. */
  readonly comment: string;
}

const configText = (state: Omit<StageState, "image" | "steps">): string => {
  const { platform } = state;
  const config: ImageConfig = {
    created: state.created,
    ...(state.author === "" ? {} : { author: state.author }),
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    os: platform.os,
    ...(platform.osVersion === undefined ? {} : { "os.version": platform.osVersion }),
    config: state.config,
    rootfs: { type: "layers", diff_ids: state.diffIds },
    history: state.history,
  };
  return JSON.stringify(config);
};

export const applyStep = (state: StageState, change: StepChange): StageState => {
  const entry: HistoryEntry = {
    created: change.created,
    ...(change.author === undefined || change.author === "" ? {} : { author: change.author }),
    created_by: change.createdBy,
    ...(change.comment === "" ? {} : { comment: change.comment }),
    ...(change.diffId === undefined ? { empty_layer: true } : {}),
  };
  const next = {
    diffIds: change.diffId === undefined ? state.diffIds : [...state.diffIds, change.diffId],
    chainId: change.chainId,
    config: change.config,
    history: change.isUntold === true ? state.history : [...state.history, entry],
    platform: state.platform,
    author: change.author ?? state.author,
    created: change.created,
  };
  const text = configText(next);
  const image = { id: digestOf(text), text };
  const step: StepImage = { ...image, parent: state.image?.id, diffIds: next.diffIds };
  return { ...next, image, steps: [...state.steps, step] };
};

/** An image of nothing but a config: what BuildKit makes of a stage on scratch without a step. */
export const bareImage = (state: StageState, config: RunConfig, created: string): StageState => {
  const next = { ...state, config, created };
  const text = configText(next);
  const image = { id: digestOf(text), text };
  return { ...next, image, steps: [{ ...image, parent: undefined, diffIds: state.diffIds }] };
};

/** With labels that came with the request. Says nothing in the history, as BuildKit does not. */
export const withLabels = (
  state: StageState,
  labels: Readonly<Record<string, string>>,
): StageState => {
  if (Object.keys(labels).length === 0 || state.image === undefined) return state;
  const config = { ...state.config, Labels: { ...state.config.Labels, ...labels } };
  const next = { ...state, config };
  const text = configText(next);
  const image = { id: digestOf(text), text };
  const last = state.steps.at(-1);
  const parent = last === undefined ? state.image.id : last.parent;
  const step: StepImage = { ...image, parent, diffIds: state.diffIds };
  return { ...next, image, steps: [...state.steps.slice(0, -1), step] };
};

/** The chainIDs below and at the top, for those who look layers up. */
export const chainOf = (diffIds: readonly Digest[]): readonly Digest[] => chainIds(diffIds);
