/** Checks of a stage's instructions, with their variables resolved. */
import type { CheckOptions, Report } from "#spec/dockerfile/check.ts";
import type { SourceRange, StageInstruction } from "#spec/dockerfile/dockerfile.ts";
import { IgnoreMatcher } from "#spec/dockerfile/dockerignore.ts";
import { withSuggestion } from "#spec/dockerfile/error.ts";
import type { CopyStep, Plan, PlannedStage, StageState, Step } from "#spec/dockerfile/plan.ts";
import { type StepVisitor, resolveStage } from "#spec/dockerfile/plan-stage.ts";
import { parseExposed } from "#spec/dockerfile/ports.ts";
import type { MissingObserver, StageBase } from "#spec/dockerfile/stage-state.ts";
import { formatPlatform } from "#spec/image/platform.ts";
import { posix } from "node:path";

const SECRET = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const NO_SECRET = /(?:_|^)(?:public|file|version)(?:_|$)/i;
/** Patterns that leave nothing of a context. */
const IGNORES_ALL: readonly string[] = ["*", "**", "**/*"];

/** What a stage takes over from the one it is built on. */
interface Below {
  readonly hasWorkdir: boolean;
  readonly hasKnownBase: boolean;
}

class StageChecker {
  readonly #planned: PlannedStage;
  readonly #report: Report;
  readonly #options: CheckOptions;
  /** The last of each of CMD, ENTRYPOINT, HEALTHCHECK. */
  readonly #last = new Map<string, SourceRange>();
  readonly #hasKnownBase: boolean;
  /** A WORKDIR stood in this stage or in one below it. */
  hasWorkdir: boolean;

  constructor(planned: PlannedStage, options: CheckOptions, report: Report, below: Below) {
    this.#planned = planned;
    this.#options = options;
    this.#report = report;
    this.#hasKnownBase = below.hasKnownBase;
    this.hasWorkdir = below.hasWorkdir;
  }

  #rangeOf(instruction: StageInstruction, isTrigger: boolean): SourceRange {
    return isTrigger ? this.#planned.stage.from.range : instruction.range;
  }

  readonly missing: MissingObserver = (instruction, isTrigger, names, known) => {
    if (!this.#hasKnownBase) return;
    for (const name of names) {
      const reason = `Usage of undefined variable '$${name}'`;
      const dollars = known.map((other) => `$${other}`);
      const message = withSuggestion(reason, `$${name}`, dollars);
      const range = this.#rangeOf(instruction, isTrigger);
      this.#report("UndefinedVar", range, message, instruction.comments);
    }
  };

  readonly step: StepVisitor = (step, before) => {
    const { instruction } = step;
    const range = this.#rangeOf(instruction, step.isTrigger);
    const report: Report = (rule, place, message) => {
      this.#report(rule, place, message, instruction.comments);
    };
    this.#once(instruction, range, report);
    this.#program(instruction, before, range, report);
    this.#values(step, range, report);
    this.#workdir(step, range, report);
    if (step.kind === "copy") this.#copy(step, range, report);
  };

  #once({ name, keyword }: StageInstruction, range: SourceRange, report: Report): void {
    if (name !== "CMD" && name !== "ENTRYPOINT" && name !== "HEALTHCHECK") return;
    const earlier = this.#last.get(name);
    this.#last.set(name, range);
    // The earlier one is what has no effect.
    if (earlier === undefined) return;
    const message = `Multiple ${keyword.text} instructions should not be used in the same stage because only the last one will be used`;
    report("MultipleInstructionsDisallowed", earlier, message);
  }

  #program(
    instruction: StageInstruction,
    before: StageState,
    range: SourceRange,
    report: Report,
  ): void {
    if (instruction.name !== "CMD" && instruction.name !== "ENTRYPOINT") return;
    if (instruction.command.form === "exec" || (before.config.Shell ?? []).length > 0) return;
    const message = `JSON arguments recommended for ${instruction.keyword.text} to prevent unintended behavior related to OS signals`;
    report("JSONArgsRecommended", range, message);
  }

  #secret(name: "ARG" | "ENV", key: string, range: SourceRange, report: Report): void {
    if (!SECRET.test(key) || NO_SECRET.test(key)) return;
    const message = `Do not use ARG or ENV instructions for sensitive data (${name} ${JSON.stringify(key)})`;
    report("SecretsUsedInArgOrEnv", range, message);
  }

  #values(step: Step, range: SourceRange, report: Report): void {
    const { instruction } = step;
    if (instruction.name === "ENV" || instruction.name === "LABEL") {
      const word = instruction.keyword.text;
      const message = `"${word} key=value" should be used instead of legacy "${word} key value" format`;
      if (instruction.isLegacy) report("LegacyKeyValueFormat", range, message);
    }
    const keys = step.kind === "config" ? step.keys : [];
    if (instruction.name === "ENV" || instruction.name === "ARG") {
      for (const key of keys) this.#secret(instruction.name, key, range, report);
    }
    if (instruction.name === "EXPOSE") {
      for (const port of keys) this.#port(port, range, report);
    }
  }

  #port(port: string, range: SourceRange, report: Report): void {
    const { protocol, hasHostPart } = parseExposed(port);
    if (protocol !== protocol.toLowerCase()) {
      const message = `Defined protocol '${port}' in EXPOSE instruction should be lowercase`;
      report("ExposeProtoCasing", range, message);
    }
    if (hasHostPart) {
      const message = `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`;
      report("ExposeInvalidFormat", range, message);
    }
  }

  #workdir(step: Step, range: SourceRange, report: Report): void {
    if (step.instruction.name !== "WORKDIR") return;
    const isFirst = !this.hasWorkdir;
    this.hasWorkdir = true;
    const written = step.kind === "config" || step.kind === "workdir" ? step.keys[0] : undefined;
    if (!isFirst || written === undefined || written.startsWith("/")) return;
    const message = `Relative workdir ${JSON.stringify(written)} can have unexpected results if the base image changes`;
    report("WorkdirRelativePath", range, message);
  }

  #copy(step: CopyStep, range: SourceRange, report: Report): void {
    const patterns = this.#options.ignored ?? [];
    // With exceptions it takes the files themselves to know.
    if (step.from.kind !== "context" || patterns.some((p) => p.startsWith("!"))) return;
    const matcher = new IgnoreMatcher(patterns);
    const isAllIgnored = patterns.some((pattern) => IGNORES_ALL.includes(pattern));
    for (const origin of step.origins) {
      if (origin.kind !== "path" && origin.kind !== "parents") continue;
      const path = posix.normalize(origin.written).replace(/(?<=.)\/$/, "");
      const isRoot = path === "." || path === "/";
      if (isRoot ? !isAllIgnored : !matcher.isIgnored(path)) continue;
      const verb = step.isAdd ? "Add" : "Copy";
      const message = `Attempting to ${verb} file ${JSON.stringify(path)} that is excluded by .dockerignore`;
      report("CopyIgnoredFile", range, message);
    }
  }
}

const checkImagePlatform = (planned: PlannedStage, options: CheckOptions, report: Report): void => {
  const actual = options.images?.get(planned.index)?.platform;
  const { base, platform: wanted, stage } = planned;
  if (actual === undefined || base.kind !== "image") return;
  if (actual.os === wanted.os && actual.architecture === wanted.architecture) return;
  const [have, want] = [actual, wanted].map((p) => JSON.stringify(formatPlatform(p)));
  const message = `Base image ${base.written} was pulled with platform ${have}, expected ${want} for current build`;
  report("InvalidBaseImagePlatform", stage.from.range, message);
};

interface Checked extends Below {
  readonly state: StageState;
}

/** Throws DockerfileError at what cannot be built. */
export const checkStages = (plan: Plan, options: CheckOptions, report: Report): void => {
  const done = new Map<number, Checked>();
  const baseOf = (planned: PlannedStage, below: Checked | undefined): StageBase => {
    if (below !== undefined) return { kind: "stage", state: below.state };
    if (planned.base.kind === "scratch") return { kind: "scratch" };
    return { kind: "image", config: options.images?.get(planned.index)?.config ?? {} };
  };
  for (const planned of plan.stages) {
    const { base, index } = planned;
    const below = base.kind === "stage" ? done.get(base.index) : undefined;
    const isKnown = base.kind === "scratch" || options.images?.has(index) === true;
    const { hasKnownBase, hasWorkdir } = below ?? { hasKnownBase: isKnown, hasWorkdir: false };
    checkImagePlatform(planned, options, report);
    const checker = new StageChecker(planned, options, report, { hasKnownBase, hasWorkdir });
    const { state } = resolveStage(plan, planned, baseOf(planned, below), {
      missing: checker.missing,
      step: checker.step,
    });
    done.set(index, { state, hasKnownBase, hasWorkdir: checker.hasWorkdir });
  }
};
