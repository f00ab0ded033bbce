/** What a benchmark row gives, and how it is judged: medians, ratios, goals. */

export interface Measure {
  /** `row.figure`, as goals name it. */
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  /** Samples by subject: `naru`, `docker28`, `floor`, … */
  readonly samples: Readonly<Record<string, readonly number[]>>;
  /** How many samples are one figure: `median` of many, `last` of one. Default median. */
  readonly note?: string;
}

export interface Goal {
  readonly id: string;
  /** Whose figure; `naru` unless said. */
  readonly of?: string;
  /** Divided by this subject's figure; `absolute` compares the figure itself. */
  readonly over:
    | "peer"
    | "floor"
    | "absolute"
    | "docker-cli"
    | "direct"
    | "containerd-erofs"
    // Docker's two builders, see rows/build.ts.
    | "classic"
    | "buildkit";
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Verdict {
  readonly goal: Goal;
  /** undefined: nothing to compare with. */
  readonly value: number | undefined;
  readonly isMet: boolean | undefined;
}

export const median = (values: readonly number[]): number => {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};

export const percentile = (values: readonly number[], part: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
};

/** The first of these subjects that the measure has is the peer. */
export const PEERS = ["docker28", "docker20", "docker-registry"] as const;

export const peerOf = (measure: Measure): string | undefined =>
  PEERS.find((name) => (measure.samples[name]?.length ?? 0) > 0);

const figure = (measure: Measure, subject: string | undefined): number | undefined => {
  const samples = subject === undefined ? undefined : measure.samples[subject];
  const sound = samples?.filter((value) => !Number.isNaN(value)) ?? [];
  return sound.length === 0 ? undefined : median(sound);
};

export const judge = (measure: Measure, goal: Goal): Verdict => {
  const own = figure(measure, goal.of ?? "naru");
  const base =
    goal.over === "absolute"
      ? 1
      : figure(measure, goal.over === "peer" ? peerOf(measure) : goal.over);
  if (own === undefined || base === undefined) return { goal, value: undefined, isMet: undefined };
  const value = own / base;
  const isMet =
    value <= (goal.atMost ?? Number.POSITIVE_INFINITY) &&
    value >= (goal.atLeast ?? Number.NEGATIVE_INFINITY);
  return { goal, value, isMet };
};

/**
 * Runs every subject's step once a round, in turn (A B C A B C), so that what disturbs the machine
 * disturbs all; the first rounds warm up and are not kept.
 */
export const interleave = async (
  steps: Readonly<Record<string, () => Promise<number>>>,
  rounds: number,
  warmUps = 2,
): Promise<Record<string, number[]>> => {
  const samples: Record<string, number[]> = {};
  for (let round = -warmUps; round < rounds; round += 1) {
    for (const [name, step] of Object.entries(steps)) {
      const value = await step();
      if (round >= 0) (samples[name] ??= []).push(value);
    }
  }
  return samples;
};

/** Milliseconds a call takes. */
export const timed = async (action: () => Promise<unknown>): Promise<number> => {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
};
