/** Here-documents: `<<NAME`, `<<-NAME`, `3<<"NAME"`; the lines up to one that is NAME are the text. */
import type { Heredoc } from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { expandWord, expandWords } from "#spec/dockerfile/expand.ts";

const MARK = /^(\d*)<<(-?)\s*([^<]*)$/;
const QUOTE = /['"]/g;

export type HeredocStart = Omit<Heredoc, "content" | "range">;

const nothing = (): undefined => undefined;

const quotesIn = (text: string): number => text.match(QUOTE)?.length ?? 0;

/** The word's meaning, or undefined when it does not begin a here-document. */
export const parseHeredocWord = (word: string): HeredocStart | undefined => {
  const [, descriptor = "", dash, rest = ""] = MARK.exec(word) ?? [];
  if (rest === "") return undefined;
  const [name, ...others] = expandWords(rest, nothing, { keepsUnset: true });
  if (name === undefined || others.length > 0) return undefined;
  // Quotes that vanish show that a part of the name was quoted.
  const [raw = ""] = expandWords(rest, nothing, { keepsUnset: true, keepsQuotes: true });
  return {
    name,
    fileDescriptor: Number(descriptor),
    isExpanded: quotesIn(name) === quotesIn(raw),
    isChomped: dash === "-",
  };
};

const WORDS = { keepsUnset: true, keepsQuotes: true, keepsEscapes: true } as const;

/** All that begin on the (joined) line of an instruction, in order. */
export const heredocsOnLine = (line: string): HeredocStart[] => {
  if (!line.includes("<<")) return [];
  let words: readonly string[];
  try {
    ({ words } = expandWord(line, nothing, WORDS));
  } catch (error) {
    // Not words of this shell (an odd quote): no here-documents, the instruction's own reader judges.
    if (error instanceof Complaint) return [];
    throw error;
  }
  return words.flatMap((word) => parseHeredocWord(word) ?? []);
};

/** Without the tabs at the start of each line. */
export const chomp = (content: string): string => content.replaceAll(/^\t+/gm, "");
