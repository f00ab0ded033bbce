/** RUN with everything resolved. */
import type { RunInstruction } from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { chomp, parseHeredocWord } from "#spec/dockerfile/heredoc.ts";
import type { PlannedMount, RunStep, Source } from "#spec/dockerfile/plan.ts";
import type { StageDraft } from "#spec/dockerfile/stage-state.ts";
import { planMount } from "#spec/dockerfile/step-mount.ts";

const SCRIPTS = "/dev/pipes/";

interface Command {
  readonly args: readonly string[];
  readonly script: RunStep["script"];
  /** What progress shows besides the line. */
  readonly summary: string;
}

/** The first line of a here-document. */
const summarize = (content: string): string => {
  const [first = "", ...more] = content.trim().split(/\r?\n/);
  return more.length > 0 ? ` (${first}...)` : ` (${first})`;
};

/**
 * A here-document that is the whole command is a script: run by the interpreter its "#!" names, else by the
 * shell. Otherwise the shell gets the line with its here-documents as they were written.
 */
const commandOf = (draft: StageDraft, instruction: RunInstruction): Command => {
  const { command, heredocs } = instruction;
  if (command.form === "exec" && command.args.length === 0) {
    throw new Complaint("arguments are required");
  }
  if (command.form === "exec") return { args: command.args, script: undefined, summary: "" };
  const [first] = heredocs;
  if (first === undefined) {
    return { args: draft.withShell(command.line), script: undefined, summary: "" };
  }
  if (parseHeredocWord(command.line) === undefined) {
    const texts = heredocs.map((h) => `\n${h.content}${h.name}`).join("");
    return { args: draft.withShell(command.line + texts), script: undefined, summary: "" };
  }
  const content = first.isChomped ? chomp(first.content) : first.content;
  const summary = summarize(first.content);
  if (!content.startsWith("#!")) {
    return { args: draft.withShell(content), script: undefined, summary };
  }
  const path = SCRIPTS + first.name;
  return { args: draft.withShell(path), script: { path, content }, summary };
};

/** "|2 A=1 B= /bin/sh -c make": with the ARGs that could have had an effect. */
const historyLine = (draft: StageDraft, args: readonly string[]): string => {
  const values = [...draft.args].map(
    ([name, value]) => `${name}=${draft.env.get(name) ?? value ?? ""}`,
  );
  const count = values.length > 0 ? [`|${values.length}`] : [];
  return [...count, ...values, ...args].join(" ");
};

type Details = Omit<RunStep, "instruction" | "isTrigger" | "title" | "createdBy" | "config">;

export interface PlannedRun {
  readonly details: Details;
  readonly createdBy: string;
  readonly summary: string;
  /** Variables that a secret fills. */
  readonly secretNames: readonly string[];
}

const secretNames = (mounts: readonly PlannedMount[]): string[] =>
  mounts.flatMap((mount) =>
    mount.type === "secret" && mount.env !== undefined ? [mount.env] : [],
  );

/** Throws Complaint. */
export const planRun = (
  draft: StageDraft,
  instruction: RunInstruction,
  sources: readonly (Source | undefined)[],
): PlannedRun => {
  const { args, script, summary } = commandOf(draft, instruction);
  const mounts = instruction.mounts.map((mount, index) =>
    planMount(draft, mount.text, sources[index]),
  );
  const details: Details = {
    kind: "run",
    args,
    env: [...draft.env].map(([name, value]) => `${name}=${value}`),
    cwd: draft.cwd,
    user: draft.user,
    mounts,
    network: instruction.network,
    security: instruction.security,
    devices: instruction.devices,
    script,
  };
  const createdBy = `RUN ${historyLine(draft, args)} # buildkit`;
  return { details, createdBy, summary, secretNames: secretNames(mounts) };
};
