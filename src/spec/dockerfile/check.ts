/**
 * Build checks: what a Dockerfile says that is taken, but probably not meant. `docker build --check`
 * prints them, a build shows them as warnings.
 *
 * Skipped are the rules that `# check=skip=…` names, at the top of the file for all of it, above an
 * instruction for that one.
 */
import {
  type CheckConfig,
  isEnabled,
  parseCheckConfig,
  withComments,
} from "#spec/dockerfile/check-config.ts";
import { checkFrom } from "#spec/dockerfile/check-from.ts";
import { RULES, type RuleName, ruleUrl } from "#spec/dockerfile/check-rules.ts";
import { checkStages } from "#spec/dockerfile/check-stage.ts";
import { checkText } from "#spec/dockerfile/check-text.ts";
import type { Dockerfile, SourceRange } from "#spec/dockerfile/dockerfile.ts";
import { Complaint, DockerfileError, placed } from "#spec/dockerfile/error.ts";
import { planDockerfile } from "#spec/dockerfile/plan-graph.ts";
import type { PlanOptions, RunConfig } from "#spec/dockerfile/plan.ts";
import type { Platform } from "#spec/image/platform.ts";

export interface Warning {
  readonly rule: RuleName;
  readonly message: string;
  /** What the rule is about. */
  readonly description: string;
  readonly url: string;
  readonly range: SourceRange;
}

export interface CheckedImage {
  readonly config: RunConfig;
  readonly platform?: Platform;
}

export interface CheckOptions extends PlanOptions {
  /**
   * Configs of base images by the stage on them, as far as they are known. Where one is not, it may set
   * any variable: UndefinedVar says nothing of that stage, nor of those on it.
   */
  readonly images?: ReadonlyMap<number, CheckedImage>;
  /** Patterns of the .dockerignore. */
  readonly ignored?: readonly string[];
  /** Goes before the file's own `# check=`: the build argument BUILDKIT_DOCKERFILE_CHECK. */
  readonly config?: CheckConfig;
}

export interface CheckResult {
  /** By line. */
  readonly warnings: readonly Warning[];
  /** Why a build of it would fail; what stands behind it was not looked at. */
  readonly error: DockerfileError | undefined;
  /** Rules that were broken, when that makes the build fail (`error=true`); else empty. */
  readonly violations: readonly RuleName[];
}

/** `comments`: those above the instruction in question, for what they skip. */
export type Report = (
  rule: RuleName,
  range: SourceRange,
  message: string,
  comments?: readonly string[],
) => void;

const configOf = (file: Dockerfile, options: CheckOptions): CheckConfig => {
  const { check } = file.directives;
  if (options.config !== undefined) return options.config;
  const range = check?.range ?? { start: { line: 1, column: 1 }, end: { line: 1, column: 1 } };
  return placed(file.text, range, () => {
    try {
      return parseCheckConfig(check?.text ?? "");
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      throw new Complaint(`failed to parse check options: ${error.message}`);
    }
  });
};

/** Throws DockerfileError for a `# check=` that cannot be read; NaruError for an unknown target. */
export const checkDockerfile = (file: Dockerfile, options: CheckOptions): CheckResult => {
  const config = configOf(file, options);
  const warnings: Warning[] = [];
  const report: Report = (rule, range, message, comments) => {
    if (!isEnabled(rule, withComments(config, comments ?? []))) return;
    const { description } = RULES[rule];
    warnings.push({ rule, message, description, url: ruleUrl(rule), range });
  };
  let failure: DockerfileError | undefined;
  try {
    checkText(file, report);
    checkFrom(file, options, report);
    const plan = planDockerfile(file, { ...options, hasAllStages: options.target === undefined });
    checkStages(plan, options, report);
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    failure = error;
  }
  const sorted = warnings.toSorted((a, b) => a.range.start.line - b.range.start.line);
  const violations = config.isError ? [...new Set(sorted.map((warning) => warning.rule))] : [];
  return { warnings: sorted, error: failure, violations };
};
