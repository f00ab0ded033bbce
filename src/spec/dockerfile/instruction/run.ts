/** RUN. */
import type { RunInstruction, RunNetwork, RunSecurity, Word } from "#spec/dockerfile/dockerfile.ts";
import { Complaint, withSuggestion } from "#spec/dockerfile/error.ts";
import { type FlagKinds, FlagSet } from "#spec/dockerfile/flags.ts";
import { type Request, readCommand, readDevice } from "#spec/dockerfile/instruction/request.ts";
import { checkMountSource, parseMount } from "#spec/dockerfile/mount.ts";

const FLAGS: FlagKinds = { mount: "list", network: "text", security: "text", device: "list" };
const NETWORKS: readonly RunNetwork[] = ["default", "none", "host"];
const SECURITIES: readonly RunSecurity[] = ["sandbox", "insecure"];

const choose = <T extends string>(
  flags: FlagSet,
  flag: string,
  choices: readonly [T, ...T[]] | readonly T[],
  refusal: (value: string) => string,
): T => {
  const range = flags.rangeOf(flag);
  const value = range === undefined ? choices[0] : (flags.text(flag)?.text ?? "");
  const choice = choices.find((c) => c === value);
  if (choice !== undefined) return choice;
  throw new Complaint(withSuggestion(refusal(value ?? ""), value ?? "", choices), range);
};

/** What can be seen without knowing variables is told at once. */
const checkMount = (mount: Word): void => {
  try {
    checkMountSource(mount.text);
    parseMount(mount.text);
  } catch (error) {
    if (error instanceof Complaint) throw new Complaint(error.message, mount.range);
    throw error;
  }
};

export const readRun = (request: Request): RunInstruction => {
  const flags = new FlagSet(request.common.flags, FLAGS);
  const mounts = flags.list("mount");
  mounts.forEach(checkMount);
  const quote = JSON.stringify;
  return {
    ...request.common,
    name: "RUN",
    command: readCommand(request.rest),
    mounts,
    network: choose(flags, "network", NETWORKS, (v) => `invalid network mode ${quote(v)}`),
    security: choose(flags, "security", SECURITIES, (v) => `security ${quote(v)} is not valid`),
    devices: flags.list("device").map(readDevice),
  };
};
