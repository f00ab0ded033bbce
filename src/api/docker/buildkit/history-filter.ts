/**
 * Filters of the build history: each text is a list of conditions that must all hold, and one text that holds is
 * enough. "status==error", "ref~=ab", "repository!=x"; "startedAt>48h", "completedAt<2026-01-02T…", "duration>=5s".
 */
import type { BuildRecord } from "#build/history.ts";
import { parseDurationNs } from "#lib/duration.ts";
import { NaruError } from "#lib/errors.ts";
import { csvFields } from "#spec/dockerfile/csv.ts";

/** What a filter looks at; a build that runs has no end. */
export type FilteredBuild = Pick<BuildRecord, "ref" | "attributes" | "error" | "startedMs"> & {
  readonly completedMs: number | undefined;
};

type Test = (build: FilteredBuild, nowMs: number) => boolean;

/** "1h30m" in milliseconds; undefined for what is no duration. */
const durationMs = (text: string): number | undefined => {
  const ns = parseDurationNs(text);
  return ns === undefined || ns < 0n ? undefined : Number(ns) / 1e6;
};

const refuse = (filter: string): NaruError =>
  new NaruError(
    "invalid_argument",
    `invalid filter "${filter}": use ref, repository, status, startedAt, completedAt or duration`,
  );

const compare = (operator: string, left: number, right: number): boolean => {
  switch (operator) {
    case ">=":
      return left >= right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    default:
      return left < right;
  }
};

const timeTest = (filter: string, name: string, operator: string, value: string): Test => {
  const duration = durationMs(value);
  if (name === "duration") {
    if (duration === undefined) throw refuse(filter);
    return ({ startedMs, completedMs }) =>
      compare(operator, completedMs === undefined ? 0 : completedMs - startedMs, duration);
  }
  const instant = Date.parse(value);
  if (duration === undefined && Number.isNaN(instant)) throw refuse(filter);
  return (build, nowMs) => {
    const at = name === "startedAt" ? build.startedMs : (build.completedMs ?? 0);
    return compare(operator, at, duration === undefined ? instant : nowMs - duration);
  };
};

const statusOf = ({ completedMs, error }: FilteredBuild): string => {
  if (completedMs === undefined) return "running";
  if (error === undefined) return "completed";
  return error.code === "canceled" ? "canceled" : "error";
};

const textOf = (build: FilteredBuild, name: string): string => {
  if (name === "ref") return build.ref;
  if (name === "status") return statusOf(build);
  return build.attributes["vcs:source"] ?? build.attributes["context"] ?? "";
};

const testOf = (filter: string): Test => {
  const time = /^(startedAt|completedAt|duration)(>=|<=|>|<)(.*)$/.exec(filter);
  if (time !== null) return timeTest(filter, time[1] ?? "", time[2] ?? "", time[3] ?? "");
  const match = /^(ref|status|repository)(==|~=|!=)"?(.*?)"?$/.exec(filter);
  if (match === null) throw refuse(filter);
  const [, name = "", operator = "", value = ""] = match;
  return (build) => {
    const text = textOf(build, name);
    if (operator === "~=") return text.includes(value);
    return (text === value) === (operator === "==");
  };
};

/** Throws invalid_argument. No filter lets everything through. */
export const historyFilter = (filters: readonly string[]): Test => {
  const all = filters.map((text) => csvFields(text).map(testOf));
  if (all.length === 0) return () => true;
  return (build, nowMs) => all.some((tests) => tests.every((test) => test(build, nowMs)));
};
