/** The argv of a RUN, its here-documents included (pure). */
import { shellOf } from "#build/metadata-step.ts";
import type { RunConfig } from "#build/state.ts";
import { chomp } from "#spec/dockerfile/heredoc.ts";
import type { Heredoc, RunInstruction } from "#spec/dockerfile/dockerfile.ts";

export interface RunCommand {
  readonly args: readonly string[];
  /** As Docker's messages and history show it. */
  readonly shown: string;
}

/** `RUN <<EOF` alone: the here-document is the script itself. */
const isScript = (line: string): boolean => /^\d*<<-?\s*["']?[^\s"'<]+["']?$/.test(line.trim());

const withHeredocs = (line: string, heredocs: readonly Heredoc[]): string =>
  [
    line,
    ...heredocs.map(({ name, content }) => {
      const text = content === "" || content.endsWith("\n") ? content : `${content}\n`;
      return `${text}${name}`;
    }),
  ].join("\n");

/**
 * A script with an interpreter of its own (`#!`) is written to a file by the image's shell and run from
 * there, so that it needs no mount.
 */
const scriptFile = (content: string): string => {
  const marker = "NARU_SCRIPT_END";
  return `f=$(mktemp) && cat >"$f" <<'${marker}'\n${content}${content.endsWith("\n") ? "" : "\n"}${marker}\nchmod +x "$f"; "$f"; c=$?; rm -f "$f"; exit $c`;
};

const shellLine = (instruction: RunInstruction, line: string): string => {
  const { heredocs } = instruction;
  const [script] = heredocs;
  if (script === undefined) return line;
  if (heredocs.length > 1 || !isScript(line)) return withHeredocs(line, heredocs);
  const content = script.isChomped ? chomp(script.content) : script.content;
  return content.startsWith("#!") ? scriptFile(content) : content;
};

export const runCommandOf = (instruction: RunInstruction, config: RunConfig): RunCommand => {
  const { command } = instruction;
  if (command.form === "exec") return { args: command.args, shown: command.args.join(" ") };
  const shell = shellOf(config);
  const shown = [...shell, withHeredocs(command.line, instruction.heredocs)].join(" ");
  return { args: [...shell, shellLine(instruction, command.line)], shown };
};
