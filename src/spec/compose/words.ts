/** A command line as words: quotes and backslashes as a POSIX shell reads them, nothing expanded. */

/** Undefined when a quote is not closed. */
export const splitWords = (line: string): string[] | undefined => {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const letter = line[at] ?? "";
    if (quote === "'") {
      if (letter === "'") quote = "";
      else word = `${word ?? ""}${letter}`;
    } else if (letter === "\\") {
      at += 1;
      const next = line[at] ?? "";
      const isKept = quote === '"' && !['"', "\\", "$", "`", "\n"].includes(next);
      if (next !== "\n") word = `${word ?? ""}${isKept ? "\\" : ""}${next}`;
    } else if (quote === '"') {
      if (letter === '"') quote = "";
      else word = `${word ?? ""}${letter}`;
    } else if (letter === "'" || letter === '"') {
      quote = letter;
      word ??= "";
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = `${word ?? ""}${letter}`;
    }
  }
  if (quote !== "") return undefined;
  if (word !== undefined) words.push(word);
  return words;
};
