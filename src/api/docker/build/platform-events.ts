/**
 * The events of one build for each platform as those of a single one: one plan, in which every platform's steps have
 * numbers of their own and stages with its name.
 */
import type { BuildEvent, StepInfo } from "#build/build.ts";

type Tell = (event: BuildEvent) => Promise<void>;

const stageOf = (platform: string, stage: string, isOnly: boolean): string => {
  if (!/^\d+$/.test(stage)) return `${platform} ${stage}`;
  return isOnly ? platform : `${platform} stage-${stage}`;
};

const named = (steps: readonly StepInfo[], platform: string, offset: number): StepInfo[] => {
  const isOnly = new Set(steps.flatMap(({ stage }) => stage ?? [])).size <= 1;
  return steps.map((step) => ({
    ...step,
    index: step.index + offset,
    stage: step.stage === undefined ? undefined : stageOf(platform, step.stage, isOnly),
  }));
};

export class PlatformEvents {
  readonly #platforms: readonly string[];
  readonly #tell: Tell;
  readonly #plans = new Map<string, readonly StepInfo[]>();
  readonly #planned = Promise.withResolvers<void>();
  readonly #offsets = new Map<string, number>();

  constructor(platforms: readonly string[], tell: Tell) {
    this.#platforms = platforms;
    this.#tell = tell;
    this.#planned.promise.catch(() => undefined); // Told to those who wait for it.
  }

  /** Of the build for `platform`. No step begins before every platform's plan is known. */
  async take(platform: string, event: BuildEvent): Promise<void> {
    if (event.kind === "plan") return await this.#plan(platform, event.steps);
    if (event.kind === "unused-args") {
      // The same of each.
      return platform === this.#platforms[0] ? await this.#tell(event) : undefined;
    }
    await this.#tell({ ...event, step: event.step + (this.#offsets.get(platform) ?? 0) });
  }

  /** One of them has failed: nobody waits for its plan. */
  abort(error: unknown): void {
    this.#planned.reject(error);
  }

  async #plan(platform: string, steps: readonly StepInfo[]): Promise<void> {
    this.#plans.set(platform, steps);
    if (this.#plans.size < this.#platforms.length) return await this.#planned.promise;
    const all: StepInfo[] = [];
    for (const name of this.#platforms) {
      this.#offsets.set(name, all.length);
      all.push(...named(this.#plans.get(name) ?? [], name, all.length));
    }
    await this.#tell({ kind: "plan", steps: all });
    this.#planned.resolve();
  }
}
