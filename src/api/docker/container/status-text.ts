/** "Up 5 minutes (healthy)", "Exited (0) 3 seconds ago": the STATUS column, in Docker's words. */
import type { ContainerState } from "#container/container.ts";
import { parseInstant, ZERO_TIME } from "#lib/clock.ts";
import type { Health } from "#spec/docker/container.ts";

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** A rounded age in words, the steps that Docker's users know. */
export const ageText = (ms: number): string => {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < MINUTE) return `${seconds} seconds`;
  const minutes = Math.trunc(seconds / MINUTE);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(ms / 1000 / HOUR + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(ms / 1000 / HOUR / 24 / 365)} years`;
};

const healthText = (health: Health | undefined): string => {
  if (health === undefined || health.Status === "none") return "";
  return health.Status === "starting" ? " (health: starting)" : ` (${health.Status})`;
};

const toMs = (instant: string): number =>
  instant === ZERO_TIME ? 0 : Number(parseInstant(instant) / 1_000_000n);

/** `prefix` + age since `sinceMs` + `suffix`; `sinceMs` undefined: the prefix is all. */
export interface StatusTemplate {
  readonly prefix: string;
  readonly sinceMs?: number;
  readonly suffix: string;
}

const still = (prefix: string): StatusTemplate => ({ prefix, suffix: "" });

/** The part of the text that does not change with time. */
export const statusTemplate = (state: ContainerState): StatusTemplate => {
  switch (state.status) {
    case "running":
      return { prefix: "Up ", sinceMs: toMs(state.startedAt), suffix: healthText(state.health) };
    case "paused":
      return { prefix: "Up ", sinceMs: toMs(state.startedAt), suffix: " (Paused)" };
    case "restarting":
      return {
        prefix: `Restarting (${state.exitCode}) `,
        sinceMs: toMs(state.finishedAt),
        suffix: " ago",
      };
    case "removing":
      return still("Removal In Progress");
    case "dead":
      return still("Dead");
    case "created":
      return still("Created");
    case "exited":
      if (state.startedAt === ZERO_TIME) return still("Created");
      if (state.finishedAt === ZERO_TIME) return still("");
      return {
        prefix: `Exited (${state.exitCode}) `,
        sinceMs: toMs(state.finishedAt),
        suffix: " ago",
      };
  }
};

/** Milliseconds until the text may differ: ages count seconds, then minutes, then half hours. */
export const statusLifetimeMs = (template: StatusTemplate, nowMs: number): number => {
  if (template.sinceMs === undefined) return Number.POSITIVE_INFINITY;
  const ageMs = Math.max(0, nowMs - template.sinceMs);
  const stepMs = ageMs < MINUTE * 1000 ? 1000 : ageMs < HOUR * 1000 ? MINUTE * 1000 : HOUR * 500;
  return stepMs - (ageMs % stepMs);
};

export const statusText = (template: StatusTemplate, nowMs: number): string =>
  template.sinceMs === undefined
    ? template.prefix
    : template.prefix + ageText(Math.max(0, nowMs - template.sinceMs)) + template.suffix;
