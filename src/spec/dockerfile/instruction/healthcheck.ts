/** HEALTHCHECK. */
import type { HealthConfig } from "#spec/docker/container-config.ts";
import { parseDurationNs } from "#lib/duration.ts";
import type { HealthcheckInstruction, Word } from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { type FlagKinds, FlagSet } from "#spec/dockerfile/flags.ts";
import { type Request, atLeastOne, readCommand } from "#spec/dockerfile/instruction/request.ts";
import { cutAtBlank } from "#spec/dockerfile/words.ts";

const FLAGS: FlagKinds = {
  interval: "text",
  timeout: "text",
  "start-period": "text",
  "start-interval": "text",
  retries: "text",
};

const MINIMUM_NS = 1_000_000;
const RETRIES_MAX = 2 ** 31 - 1;

const intervalNs = (word: Word | undefined, name: string): number => {
  if (word === undefined) return 0;
  const ns = Number(parseDurationNs(word.text) ?? NaN);
  if (Number.isNaN(ns)) {
    throw new Complaint(`invalid duration ${JSON.stringify(word.text)}`, word.range);
  }
  if (ns === 0 || ns >= MINIMUM_NS) return ns;
  throw new Complaint(`Interval "${name}" cannot be less than 1ms`, word.range);
};

const readRetries = (word: Word | undefined): number => {
  if (word === undefined) return 0;
  const retries = /^[+-]?\d+$/.test(word.text) ? Number(word.text) : NaN;
  if (!(Math.abs(retries) <= RETRIES_MAX)) {
    throw new Complaint(`invalid number of retries ${JSON.stringify(word.text)}`, word.range);
  }
  if (retries >= 0) return retries;
  throw new Complaint(`--retries cannot be negative (${retries})`, word.range);
};

const readTest = (request: Request): string[] => {
  atLeastOne(request.rest, "HEALTHCHECK");
  const [head, rest] = cutAtBlank(request.rest);
  const kind = head.text.toUpperCase();
  const hasArguments = rest !== undefined && rest.text !== "";
  if (kind === "NONE") {
    if (hasArguments) throw new Complaint("HEALTHCHECK NONE takes no arguments", rest.range);
    return [kind];
  }
  if (kind !== "CMD") {
    throw new Complaint(
      `Unknown type ${JSON.stringify(kind)} in HEALTHCHECK (try CMD)`,
      head.range,
    );
  }
  const command = hasArguments ? readCommand(rest) : undefined;
  if (command === undefined || (command.form === "exec" && command.args.length === 0)) {
    throw new Complaint("Missing command after HEALTHCHECK CMD");
  }
  return command.form === "exec" ? ["CMD", ...command.args] : ["CMD-SHELL", command.line];
};

export const readHealthcheck = (request: Request): HealthcheckInstruction => {
  const flags = new FlagSet(request.common.flags, FLAGS);
  const Test = readTest(request);
  if (Test[0] === "NONE") return { ...request.common, name: "HEALTHCHECK", health: { Test } };
  const health: HealthConfig = { Test };
  const Interval = intervalNs(flags.text("interval"), "interval");
  const Timeout = intervalNs(flags.text("timeout"), "timeout");
  const StartPeriod = intervalNs(flags.text("start-period"), "start-period");
  const StartInterval = intervalNs(flags.text("start-interval"), "start-interval");
  const Retries = readRetries(flags.text("retries"));
  // As in Docker's images: what has its default is left out.
  if (Interval > 0) health.Interval = Interval;
  if (Timeout > 0) health.Timeout = Timeout;
  if (StartPeriod > 0) health.StartPeriod = StartPeriod;
  if (StartInterval > 0) health.StartInterval = StartInterval;
  if (Retries > 0) health.Retries = Retries;
  return { ...request.common, name: "HEALTHCHECK", health };
};
