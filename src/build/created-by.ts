/** What the image's history says of a step, in the words of the builder that the client believes to use (pure). */
import type { RunConfig } from "#build/state.ts";
import type { Step } from "#spec/dockerfile/plan.ts";

const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];

/** Ports and the like as they were given, not as they came to be in the config. */
const configText = (step: Extract<Step, { kind: "config" }>): string => {
  const { instruction, createdBy, keys } = step;
  if (instruction.name === "EXPOSE") return `EXPOSE ${keys.join(" ")}`;
  return instruction.name === "HEALTHCHECK" ? instruction.source : createdBy;
};

/** `before` is the config that the step starts from; `content` names what a COPY or ADD copies. */
export const classicCreatedBy = (step: Step, before: RunConfig, content: string): string => {
  if (step.kind === "run") return step.createdBy.slice("RUN ".length).replace(/ # buildkit$/, "");
  const given = before.Shell ?? [];
  const shell = (given.length > 0 ? given : DEFAULT_SHELL).join(" ");
  if (step.kind === "copy") return `${shell} #(nop) ${step.instruction.name} ${content}`;
  return `${shell} #(nop)  ${step.kind === "config" ? configText(step) : step.createdBy}`;
};
