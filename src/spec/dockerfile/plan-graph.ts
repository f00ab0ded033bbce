/** Which stages a target needs, what they are built on and what they read from. */
import type {
  Dockerfile,
  FromInstruction,
  Stage,
  StageInstruction,
} from "#spec/dockerfile/dockerfile.ts";
import { Complaint, placed, withSuggestion } from "#spec/dockerfile/error.ts";
import { type Expansion, expandWord } from "#spec/dockerfile/expand.ts";
import { csvFields } from "#spec/dockerfile/csv.ts";
import { parseTriggers } from "#spec/dockerfile/parse.ts";
import { automaticArgs, proxyEnv, withMetaArgs } from "#spec/dockerfile/plan-args.ts";
import type {
  Plan,
  PlanOptions,
  PlannedInstruction,
  PlannedStage,
  Source,
} from "#spec/dockerfile/plan.ts";
import { type Platform, parsePlatform } from "#spec/image/platform.ts";
import {
  familiarString,
  formatReference,
  parseReference,
  withDefaultTag,
} from "#spec/image/reference.ts";
import { NaruError } from "#lib/errors.ts";

const SCRATCH = "scratch";
const NEVER_NAMED: readonly string[] = [SCRATCH, "context"];

/** `parse`'s refusal as a complaint about the Dockerfile. */
const complaining = <T>(before: string, parse: () => T): T => {
  try {
    return parse();
  } catch (error) {
    if (error instanceof NaruError) throw new Complaint(`${before}: ${error.message}`);
    throw error;
  }
};

interface Base {
  readonly source: Source;
  readonly platform: Platform;
}

class GraphBuilder {
  readonly #file: Dockerfile;
  readonly #options: PlanOptions;
  readonly #globalArgs: ReadonlyMap<string, string>;
  /** The last stage of each name. */
  readonly #byName = new Map<string, number>();
  readonly #platforms = new Map<number, Platform>();
  /** Stages in whose place a context of their name stands: what they say is not done. */
  readonly #replaced = new Set<number>();

  constructor(file: Dockerfile, options: PlanOptions) {
    this.#file = file;
    this.#options = options;
    const automatic = automaticArgs(file, options);
    this.#globalArgs = withMetaArgs(file, automatic, options.buildArgs);
  }

  plan(): Plan {
    const bases = this.#file.stages.map((stage) => this.#baseOf(stage));
    const target = this.#target();
    return {
      dockerfile: this.#file,
      options: this.#options,
      globalArgs: this.#globalArgs,
      proxyEnv: proxyEnv(this.#options.buildArgs),
      target,
      stages: this.#needed(target, bases),
    };
  }

  #plannedStage(stage: Stage, base: Base): PlannedStage {
    const { index } = stage;
    const label = this.#file.stages.length === 1 ? "" : (stage.name ?? `stage-${index}`);
    const instructions = this.#replaced.has(index) ? [] : this.#instructionsOf(stage, base.source);
    return { index, stage, label, base: base.source, platform: base.platform, instructions };
  }

  #expand(text: string): Expansion {
    const lookup = (name: string): string | undefined => this.#globalArgs.get(name);
    return expandWord(text, lookup, { escape: this.#file.directives.escape });
  }

  #baseOf(stage: Stage): Base {
    const { from } = stage;
    const base = placed(this.#file.text, from.base.range, () => {
      const { text } = this.#expand(from.base.text);
      if (text !== "") return text;
      throw new Complaint(`base name (${from.base.text}) should not be blank`);
    });
    const wanted = this.#platformOf(from);
    const instead = stage.name === undefined ? undefined : this.#namedContext(stage.name);
    const source =
      instead ?? placed(this.#file.text, from.base.range, () => this.#baseSource(base, wanted));
    if (stage.name !== undefined) this.#byName.set(stage.name, stage.index);
    const inherited = source.kind === "stage" ? this.#platforms.get(source.index) : undefined;
    const platform = inherited ?? wanted;
    this.#platforms.set(stage.index, platform);
    if (instead !== undefined) this.#replaced.add(stage.index);
    return { source, platform };
  }

  #platformOf(from: FromInstruction): Platform {
    const word = from.platform;
    if (word === undefined) return this.#options.targetPlatform;
    return placed(this.#file.text, word.range, () => {
      const { text, missing } = this.#expand(word.text);
      if (text === "") {
        const reason = `empty platform value from expression ${word.text}`;
        const [first = ""] = missing;
        throw new Complaint(withSuggestion(reason, first, this.#globalArgs.keys()));
      }
      return complaining(`failed to parse platform ${word.text}`, () => parsePlatform(text));
    });
  }

  #baseSource(base: string, platform: Platform): Source {
    // No image has a name in upper case: it can only mean the stage.
    const below = this.#byName.get(base.toLowerCase());
    if (below !== undefined) return { kind: "stage", index: below };
    return this.#image(base, platform);
  }

  /** A named context by its name: as an image is named, without the tag "latest". */
  #namedContext(name: string): Source | undefined {
    if (NEVER_NAMED.includes(name.toLowerCase())) return undefined;
    return this.#options.contexts?.has(name) === true ? { kind: "named", name } : undefined;
  }

  #image(written: string, platform: Platform): Source {
    if (written === SCRATCH) return { kind: "scratch" };
    const context = this.#namedContext(written);
    if (context !== undefined) return context;
    const reference = complaining(`failed to parse stage name ${JSON.stringify(written)}`, () =>
      withDefaultTag(parseReference(written)),
    );
    const familiar = familiarString(reference).replace(/:latest$/, "");
    const named = this.#namedContext(familiar);
    return named ?? { kind: "image", reference: formatReference(reference), written, platform };
  }

  /** What `from` of COPY or of a mount names. */
  #source(name: string, stage: Stage, verb: "copy" | "mount"): Source {
    const index = this.#byName.get(name.toLowerCase());
    if (index === undefined) return this.#image(name, this.#options.targetPlatform);
    return this.#stageSource(index, name, stage, verb);
  }

  #stageSource(index: number, written: string, stage: Stage, verb: "copy" | "mount"): Source {
    if (index < stage.index) return { kind: "stage", index };
    const label = stage.name ?? `stage-${stage.index}`;
    if (index === stage.index) {
      throw new Complaint(`circular dependency detected on stage: ${label}`);
    }
    throw new Complaint(
      `cannot ${verb} from stage "${written}", it needs to be defined before current stage "${label}"`,
    );
  }

  #copySource(from: string, stage: Stage): Source {
    const { text } = expandWord(from, () => undefined, { escape: this.#file.directives.escape });
    if (text !== from) {
      throw new Complaint(
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
      );
    }
    if (!/^[+-]?\d+$/.test(from)) return this.#source(from, stage, "copy");
    const index = Number(from);
    if (index < 0 || index >= this.#file.stages.length) {
      throw new Complaint(`invalid stage index ${index}`);
    }
    return this.#stageSource(index, from, stage, "copy");
  }

  #sourcesOf(instruction: StageInstruction, stage: Stage): readonly (Source | undefined)[] {
    if (instruction.name === "COPY" && instruction.from !== undefined) {
      return [this.#copySource(instruction.from.text, stage)];
    }
    if (instruction.name !== "RUN") return [];
    return instruction.mounts.map((mount) => {
      const field = csvFields(mount.text).findLast((f) => /^from=/i.test(f));
      const from = field?.slice("from=".length) ?? "";
      return from === "" ? undefined : this.#source(from, stage, "mount");
    });
  }

  /** Places in a trigger are not places in this file: its FROM is to blame. */
  #planned(instruction: StageInstruction, isTrigger: boolean, stage: Stage): PlannedInstruction {
    const range = isTrigger ? stage.from.range : instruction.range;
    const sources = placed(this.#file.text, range, () => this.#sourcesOf(instruction, stage));
    return { instruction, isTrigger, sources };
  }

  #instructionsOf(stage: Stage, base: Source): PlannedInstruction[] {
    const isOnStage = base.kind === "stage" && !this.#replaced.has(base.index);
    const below = isOnStage ? this.#file.stages[base.index] : undefined;
    const inFile = (below?.instructions ?? []).flatMap((instruction) =>
      instruction.name === "ONBUILD" ? [instruction.expression] : [],
    );
    const texts = [...(this.#options.triggers?.get(stage.index) ?? []), ...inFile];
    const triggers = parseTriggers(texts, this.#file.text, stage.from.range);
    return [
      ...triggers.map((trigger) => this.#planned(trigger, true, stage)),
      ...stage.instructions.map((instruction) => this.#planned(instruction, false, stage)),
    ];
  }

  #target(): number {
    const { target } = this.#options;
    const last = this.#file.stages.length - 1;
    if (target === undefined || target === "") return last;
    const index = this.#byName.get(target.toLowerCase());
    if (index !== undefined) return index;
    if (/^\d+$/.test(target) && Number(target) <= last) return Number(target);
    const reason = `target stage ${JSON.stringify(target)} could not be found`;
    throw new NaruError(
      "invalid_argument",
      withSuggestion(reason, target, [...this.#byName.keys()]),
    );
  }

  /** What is wrong in a stage that nothing needs is not looked for, as it is not built. */
  #needed(target: number, bases: readonly Base[]): PlannedStage[] {
    const planned = new Map<number, PlannedStage>();
    const add = (source: Source | undefined): void => {
      if (source?.kind !== "stage" || planned.has(source.index)) return;
      const stage = this.#file.stages[source.index];
      const base = bases[source.index];
      if (stage === undefined || base === undefined) return;
      const needed = this.#plannedStage(stage, base);
      planned.set(source.index, needed);
      add(needed.base);
      needed.instructions.flatMap((i) => i.sources).forEach(add);
    };
    add({ kind: "stage", index: target });
    if (this.#options.hasAllStages === true) {
      this.#file.stages.forEach(({ index }) => add({ kind: "stage", index }));
    }
    return [...planned.values()].toSorted((a, b) => a.index - b.index);
  }
}

/**
 * Throws DockerfileError (bases, platforms, sources that do not exist or come later), or
 * invalid_argument for an unknown target.
 */
export const planDockerfile = (file: Dockerfile, options: PlanOptions): Plan =>
  new GraphBuilder(file, options).plan();

export type ImageSource = Extract<Source, { kind: "image" }>;

/** The images whose configs are needed, with the stages that stand on them. */
export const baseImages = (
  plan: Plan,
): readonly { readonly image: ImageSource; readonly stage: number }[] =>
  plan.stages.flatMap(({ base, index }) =>
    base.kind === "image" ? [{ image: base, stage: index }] : [],
  );
