/** A build's events as vertices, statuses and logs: BuildKit's progress of the engine's steps. */
import { timestampFromMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { StatusLog } from "#api/docker/buildkit/status-log.ts";
import type { BuildEvent, StepInfo } from "#build/build.ts";
import type { TransferEvent } from "#image/transfer.ts";
import { nowNs } from "#lib/clock.ts";
import { toNaruError } from "#lib/errors.ts";
import { goQuoted } from "#spec/dockerfile/go-text.ts";
import { digestOf } from "#spec/image/digest.ts";

export const wireNow = (): Timestamp => timestampFromMs(Number(nowNs() / 1_000_000n));

/** A unit of work that is shown: one line, with its output and its transfers below it. */
export class ShownVertex {
  readonly digest: string;
  readonly name: string;
  readonly #log: StatusLog;
  readonly #inputs: readonly string[];
  #started: Timestamp | undefined;
  readonly #transfers = new Map<string, Timestamp>();

  /** `digest`: where the client knows it already. */
  constructor(
    log: StatusLog,
    build: string,
    name: string,
    inputs: readonly string[] = [],
    digest: string = digestOf(`${build} ${name}`),
  ) {
    this.#log = log;
    this.name = name;
    this.digest = digest;
    this.#inputs = inputs;
  }

  get isStarted(): boolean {
    return this.#started !== undefined;
  }

  announce(): Promise<void> {
    return this.#log.add({
      vertexes: [{ digest: this.digest, name: this.name, inputs: [...this.#inputs] }],
    });
  }

  start(): Promise<void> {
    this.#started = wireNow();
    return this.#tell({});
  }

  end(outcome: { readonly isCached?: boolean; readonly error?: string } = {}): Promise<void> {
    this.#started ??= wireNow();
    return this.#tell({
      completed: wireNow(),
      cached: outcome.isCached ?? false,
      error: outcome.error ?? "",
    });
  }

  output(stream: number, bytes: Uint8Array): Promise<void> {
    const vertex = this.digest;
    return this.#log.add({
      logs: [{ vertex, stream: BigInt(stream), msg: bytes, timestamp: wireNow() }],
    });
  }

  /** A line below the vertex; complete when `current` reaches `total`, or `isDone`. */
  status(id: string, current: number, total: number, isDone: boolean): Promise<void> {
    const started = this.#transfers.get(id) ?? wireNow();
    this.#transfers.set(id, started);
    return this.#log.add({
      statuses: [
        {
          id,
          vertex: this.digest,
          current: BigInt(Math.trunc(current)),
          total: BigInt(Math.trunc(total)),
          timestamp: wireNow(),
          started,
          ...(isDone ? { completed: wireNow() } : {}),
        },
      ],
    });
  }

  transfer({ id, status, current, total }: TransferEvent): Promise<void> {
    const isDone = current === undefined || (total !== undefined && current >= total);
    return this.status(
      id === undefined ? status : `${id} ${status}`,
      current ?? 0,
      total ?? 0,
      isDone,
    );
  }

  /** Runs `work` as this vertex. */
  async around<T>(work: () => Promise<T>): Promise<T> {
    await this.start();
    try {
      const result = await work();
      await this.end();
      return result;
    } catch (error) {
      await this.end({ error: toNaruError(error).message });
      throw error;
    }
  }

  #tell(more: { completed?: Timestamp; cached?: boolean; error?: string }): Promise<void> {
    const { digest, name } = this;
    const started = this.#started;
    return this.#log.add({
      vertexes: [
        {
          digest,
          name,
          inputs: [...this.#inputs],
          ...(started === undefined ? {} : { started }),
          ...more,
        },
      ],
    });
  }
}

/** Instructions that make files; the others are shown by nobody. */
const isShown = ({ text }: StepInfo): boolean => /^(FROM|RUN|COPY|ADD|WORKDIR)\b/i.test(text);

const stageLabel = (stage: string, isOnly: boolean): string => {
  if (!/^\d+$/.test(stage)) return `${stage} `;
  return isOnly ? "" : `stage-${stage} `;
};

/** "[build 2/4] RUN make", by index of the step. */
export const stepNames = (
  steps: readonly StepInfo[],
  platform = "",
): ReadonlyMap<number, string> => {
  const shown = steps.filter((step) => step.stage !== undefined && isShown(step));
  const stages = new Set(shown.map((step) => step.stage));
  const names = new Map<number, string>();
  for (const stage of stages) {
    const own = shown.filter((step) => step.stage === stage);
    const before = platform === "" ? "" : `${platform} `;
    const label = before + stageLabel(stage ?? "", stages.size === 1);
    for (const [position, step] of own.entries()) {
      names.set(step.index, `[${label}${position + 1}/${own.length}] ${step.text}`);
    }
  }
  return names;
};

/** Counts for the history of builds. */
export interface StepCounts {
  total: number;
  completed: number;
  cached: number;
}

/** How clients know a command that failed. */
export const inBuildKitsWords = (message: string): string => {
  const match = /^The command '(.*)' returned a non-zero code: (\d+)$/s.exec(message);
  return match === null
    ? message
    : `process ${goQuoted(match[1] ?? "")} did not complete successfully: exit code: ${match[2]}`;
};

export class StepVertices {
  readonly counts: StepCounts;
  readonly #log: StatusLog;
  readonly #build: string;
  readonly #platform: string;
  #vertices = new Map<number, ShownVertex>();

  /** `platform`: of a build for several, whose steps are counted together. */
  constructor(
    log: StatusLog,
    build: string,
    platform = "",
    counts: StepCounts = { total: 0, completed: 0, cached: 0 },
  ) {
    this.#log = log;
    this.#build = build;
    this.#platform = platform;
    this.counts = counts;
  }

  take(event: BuildEvent): Promise<void> {
    if (event.kind === "plan") return this.#plan(event.steps);
    if (event.kind === "unused-args") {
      const text = `[Warning] One or more build-args [${event.names.join(" ")}] were not consumed`;
      return new ShownVertex(this.#log, this.#build, text).around(() => Promise.resolve());
    }
    const vertex = this.#vertices.get(event.step);
    return vertex === undefined ? Promise.resolve() : this.#step(vertex, event);
  }

  #step(
    vertex: ShownVertex,
    event: Exclude<BuildEvent, { kind: "plan" | "unused-args" }>,
  ): Promise<void> {
    switch (event.kind) {
      case "start":
        return vertex.start();
      case "run":
        return Promise.resolve();
      case "trigger":
        if (event.isCached !== undefined) return Promise.resolve();
        return vertex.output(1, Buffer.from(`${event.text}\n`));
      case "output":
        return vertex.output(event.stream, event.bytes);
      case "transfer":
        return vertex.transfer(event.transfer);
      case "done":
        this.counts.completed += 1;
        if (event.isCached) this.counts.cached += 1;
        return vertex.end({ isCached: event.isCached });
      case "failed":
        return vertex.end({ error: inBuildKitsWords(event.message) });
    }
  }

  async #plan(steps: readonly StepInfo[]): Promise<void> {
    const names = stepNames(steps, this.#platform);
    this.counts.total += names.size;
    const lastOf = new Map<string, string>();
    for (const step of steps) {
      const name = names.get(step.index);
      if (name === undefined || step.stage === undefined) continue;
      const below = lastOf.get(step.stage);
      const inputs = below === undefined ? [] : [below];
      const vertex = new ShownVertex(this.#log, this.#build, name, inputs);
      lastOf.set(step.stage, vertex.digest);
      this.#vertices.set(step.index, vertex);
      await vertex.announce();
    }
  }
}
