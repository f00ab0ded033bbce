/** Which rule a changed path belongs to, and where it goes. Pure. */
import type { WatchRule } from "#spec/compose/compose.ts";
import { IgnoreMatcher } from "#spec/dockerfile/dockerignore.ts";

export interface WatchedRule {
  readonly service: string;
  readonly rule: WatchRule;
  /** What the service's build leaves out of its context: no rule of the service sees it either. */
  readonly leftOut?: { readonly context: string; readonly patterns: readonly string[] };
}

export interface Change {
  readonly service: string;
  readonly rule: WatchRule;
  /** On this machine, absolute. */
  readonly path: string;
  /** In the container; undefined for actions that copy nothing. */
  readonly target: string | undefined;
}

/** What nobody wants to have copied, whatever a rule says. */
const ALWAYS_IGNORED = [".git", "**/*~", "**/.#*", "**/*.swp", "**/*.swx", "**/.DS_Store"];

const relativeTo = (path: string, folder: string): string | undefined => {
  if (path === folder) return "";
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined;
};

class RuleMatcher {
  readonly watched: WatchedRule;
  readonly #ignored: IgnoreMatcher;
  readonly #included: IgnoreMatcher | undefined;
  readonly #leftOut: IgnoreMatcher;

  constructor(watched: WatchedRule) {
    const { ignore = [], include = [] } = watched.rule;
    this.watched = watched;
    this.#leftOut = new IgnoreMatcher(watched.leftOut?.patterns ?? []);
    this.#ignored = new IgnoreMatcher([...ALWAYS_IGNORED, ...ignore.map(clean)]);
    this.#included = include.length === 0 ? undefined : new IgnoreMatcher(include.map(clean));
  }

  match(path: string): Change | undefined {
    const { service, rule, leftOut } = this.watched;
    const relative = relativeTo(path, rule.path);
    if (relative === undefined) return undefined;
    if (relative !== "" && this.#ignored.isIgnored(relative)) return undefined;
    if (relative !== "" && this.#included?.isIgnored(relative) === false) return undefined;
    const inContext = leftOut === undefined ? undefined : relativeTo(path, leftOut.context);
    if (inContext !== undefined && this.#leftOut.isIgnored(inContext)) return undefined;
    const copies = rule.action.startsWith("sync");
    const base = (rule.target ?? "").replace(/\/$/, "");
    const target = copies ? (relative === "" ? base : `${base}/${relative}`) : undefined;
    return { service, rule, path, target };
  }
}

const clean = (pattern: string): string => pattern.replace(/^\.\//, "").replace(/\/$/, "");

/** For every rule the changes it has a say in, in the order of the rules. */
export const matchChanges = (
  rules: readonly WatchedRule[],
  paths: readonly string[],
): readonly Change[] => {
  const matchers = rules.map((watched) => new RuleMatcher(watched));
  return matchers.flatMap((matcher) =>
    paths.map((path) => matcher.match(path)).filter((change) => change !== undefined),
  );
};
