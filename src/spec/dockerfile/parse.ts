/** A Dockerfile's text to its tree. */
import { DirectiveReader } from "#spec/dockerfile/directives.ts";
import type {
  ArgInstruction,
  Dockerfile,
  FromInstruction,
  Instruction,
  SourceRange,
  StageInstruction,
} from "#spec/dockerfile/dockerfile.ts";
import { Complaint, DockerfileError, placed } from "#spec/dockerfile/error.ts";
import { heredocsOnLine } from "#spec/dockerfile/heredoc.ts";
import { readHead, readInstruction, takesHeredocs } from "#spec/dockerfile/instruction/read.ts";
import { LineReader, type LogicalLine } from "#spec/dockerfile/lines.ts";

interface StageDraft {
  readonly from: FromInstruction;
  readonly instructions: StageInstruction[];
}

const lineRange = (line: number): SourceRange => ({
  start: { line, column: 1 },
  end: { line, column: 1 },
});

class Parser {
  readonly #text: string;
  readonly #directives = new DirectiveReader();
  readonly #lines: LineReader;
  readonly #metaArgs: ArgInstruction[] = [];
  readonly #stages: StageDraft[] = [];
  readonly #emptyContinuationLines: number[] = [];

  constructor(text: string) {
    this.#text = text;
    this.#lines = new LineReader(text, this.#directives);
  }

  /** Runs `doing`; a complaint without a place of its own is about `range`. */
  #placed<T>(range: () => SourceRange, doing: () => T): T {
    try {
      return doing();
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      throw new DockerfileError(error.message, this.#text, error.range ?? range(), error);
    }
  }

  parse(): Dockerfile {
    let count = 0;
    for (;;) {
      const line = this.#placed(
        () => lineRange(this.#lines.lineNumber),
        () => this.#lines.next(),
      );
      if (line === undefined) break;
      count += 1;
      this.#add(this.#instruction(line));
    }
    if (this.#stages.length === 0) {
      const reason =
        count === 0
          ? "file with no instructions"
          : "dockerfile contains no stages to build: it has no FROM";
      throw new DockerfileError(reason, this.#text, lineRange(1));
    }
    return this.#result();
  }

  #instruction(line: LogicalLine): Instruction {
    if (line.hasEmptyContinuation) this.#emptyContinuationLines.push(line.endLine);
    return this.#placed(
      () => line.text.trim().range,
      () => {
        const head = readHead(line.text, this.#directives.escape);
        const starts = takesHeredocs(head) ? heredocsOnLine(line.text.text) : [];
        const heredocs = starts.map((start) => this.#lines.heredoc(start));
        return readInstruction(head, heredocs, line.comments);
      },
    );
  }

  #add(instruction: Instruction): void {
    if (instruction.name === "FROM") {
      this.#stages.push({ from: instruction, instructions: [] });
      return;
    }
    const stage = this.#stages.at(-1);
    if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.name === "ARG") this.#metaArgs.push(instruction);
    else {
      throw new DockerfileError(
        `no build stage in current context: only ARG may stand before the first FROM, not ${instruction.name}`,
        this.#text,
        instruction.range,
      );
    }
  }

  #result(): Dockerfile {
    const syntax = this.#directives.get("syntax");
    const check = this.#directives.get("check");
    return {
      text: this.#text,
      directives: {
        escape: this.#directives.escape,
        ...(syntax === undefined ? {} : { syntax }),
        ...(check === undefined ? {} : { check }),
      },
      metaArgs: this.#metaArgs,
      stages: this.#stages.map((stage, index) => ({
        index,
        name: stage.from.as?.text.toLowerCase(),
        ...stage,
      })),
      emptyContinuationLines: this.#emptyContinuationLines,
    };
  }
}

/** One ONBUILD trigger out of an image's config. */
const parseTrigger = (text: string): StageInstruction => {
  const directives = new DirectiveReader();
  const lines = new LineReader(text, directives);
  const line = lines.next();
  if (line === undefined) throw new Complaint("it is empty");
  const head = readHead(line.text, directives.escape);
  const starts = takesHeredocs(head) ? heredocsOnLine(line.text.text) : [];
  const heredocs = starts.map((start) => lines.heredoc(start));
  const instruction = readInstruction(head, heredocs, line.comments);
  if (lines.next() !== undefined) throw new Complaint("it has more than one instruction");
  if (instruction.name === "FROM") throw new Complaint("FROM isn't allowed as an ONBUILD trigger");
  return instruction;
};

/**
 * ONBUILD triggers as an image's config has them. Ranges in them count within the trigger; what is wrong
 * is told at `range` of `text`, the FROM that brought them.
 */
export const parseTriggers = (
  triggers: readonly string[],
  text: string,
  range: SourceRange,
): StageInstruction[] =>
  triggers.map((trigger) =>
    placed(text, range, () => {
      try {
        return parseTrigger(trigger);
      } catch (error) {
        if (!(error instanceof Complaint)) throw error;
        throw new Complaint(
          `ONBUILD trigger ${JSON.stringify(trigger)} of the base: ${error.message}`,
        );
      }
    }),
  );

/** Throws DockerfileError at the first thing that is wrong. */
export const parseDockerfile = (text: string): Dockerfile => new Parser(text).parse();
