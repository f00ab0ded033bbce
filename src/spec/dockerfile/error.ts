/** What is wrong in a Dockerfile, where, and how to show it as a compiler would. */
import { NaruError } from "#lib/errors.ts";
import type { SourceRange } from "#spec/dockerfile/dockerfile.ts";

const CONTEXT_LINES = 2;
const FRAME_LINES_MAX = 12;

const underline = (line: string, from: number, to: number): string => {
  // Tabs stay tabs, so that the marks stand below what they mean whatever a tab's width is.
  const before = line.slice(0, from).replaceAll(/[^\t]/g, " ");
  return before + "^".repeat(Math.max(1, to - from));
};

/**
 * The lines around a range, numbered, the range's own marked with `>` and underlined:
 *
 *       1 | FROM debian
 *     > 2 | RUNN true
 *         | ^^^^
 */
export const codeFrame = (text: string, range: SourceRange): string => {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  const { start, end } = range;
  const first = Math.max(1, start.line - CONTEXT_LINES);
  const last = Math.min(lines.length, end.line + CONTEXT_LINES, first + FRAME_LINES_MAX);
  const width = String(last).length;
  const out: string[] = [];
  for (let number = first; number <= last; number += 1) {
    const line = lines[number - 1] ?? "";
    const isMarked = number >= start.line && number <= end.line;
    out.push(`${isMarked ? ">" : " "} ${String(number).padStart(width)} | ${line}`.trimEnd());
    if (!isMarked || line.trim() === "") continue;
    const from = number === start.line ? start.column - 1 : line.length - line.trimStart().length;
    const to = number === end.line ? end.column - 1 : line.length;
    out.push(`  ${" ".repeat(width)} | ${underline(line, from, Math.min(to, line.length))}`);
  }
  return out.join("\n");
};

/**
 * Code invalid_argument. `message` is one line that begins as Docker's users know it ("dockerfile
 * parse error on line 2: …"); `frame` goes below it.
 */
export class DockerfileError extends NaruError {
  /** The message without the place. */
  readonly reason: string;
  readonly range: SourceRange;
  readonly frame: string;

  constructor(reason: string, text: string, range: SourceRange, cause?: unknown) {
    const frame = codeFrame(text, range);
    super("invalid_argument", `dockerfile parse error on line ${range.start.line}: ${reason}`, {
      details: { line: range.start.line, column: range.start.column, frame },
      ...(cause === undefined ? {} : { cause }),
    });
    this.name = "DockerfileError";
    this.reason = reason;
    this.range = range;
    this.frame = frame;
  }
}

/**
 * Thrown where the text of the whole file is not at hand; whoever has it turns it into a
 * DockerfileError. Without a range the instruction's own is meant.
 */
export class Complaint extends Error {
  readonly range: SourceRange | undefined;

  constructor(reason: string, range?: SourceRange) {
    super(reason);
    this.name = "Complaint";
    this.range = range;
  }
}

/** Runs `doing`; a complaint becomes a DockerfileError at its own place, or else at `range`. */
export const placed = <T>(text: string, range: SourceRange, doing: () => T): T => {
  try {
    return doing();
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    throw new DockerfileError(error.message, text, error.range ?? range, error);
  }
};

/** Number of single-character edits from `a` to `b`. */
const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
};

const DISTANCE_LIMIT = 3;

/** `word`'s own case, where it has one, for a candidate that is compared without case. */
const inCaseOf = (word: string, candidate: string): string => {
  if (word === word.toLowerCase()) return candidate.toLowerCase();
  return word === word.toUpperCase() ? candidate.toUpperCase() : candidate;
};

/**
 * The candidate at most two edits away, or undefined. One that equals `word` means that the spelling
 * is not what is wrong: undefined as well.
 */
export const nearest = (
  word: string,
  candidates: Iterable<string>,
  isCaseSensitive = true,
): string | undefined => {
  const wanted = isCaseSensitive ? word : word.toLowerCase();
  let best: string | undefined;
  let bestDistance = DISTANCE_LIMIT;
  for (const candidate of candidates) {
    const have = isCaseSensitive ? candidate : candidate.toLowerCase();
    if (have === wanted) return undefined;
    const distance = editDistance(wanted, have);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best === undefined || isCaseSensitive ? best : inCaseOf(word, best);
};

/** `reason`, with "(did you mean X?)" when something is near. */
export const withSuggestion = (
  reason: string,
  word: string,
  candidates: Iterable<string>,
  isCaseSensitive = true,
): string => {
  const meant = nearest(word, candidates, isCaseSensitive);
  return meant === undefined ? reason : `${reason} (did you mean ${meant}?)`;
};
