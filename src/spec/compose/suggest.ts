/** The known word that was probably meant. */
const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_item, at) => at);
  let before: number[] = [];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          (previous[j] ?? 0) + 1,
          (row[j - 1] ?? 0) + 1,
          (previous[j - 1] ?? 0) + cost,
          isSwapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
};

/** Undefined when nothing is near: "volume" finds "volumes", "prots" finds "ports". */
export const nearestWord = (given: string, known: readonly string[]): string | undefined => {
  const folded = given.toLowerCase().replaceAll("-", "_");
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(given.length / 3)) + 1;
  for (const word of known) {
    const steps = distance(folded, word);
    if (steps < bestDistance && steps < word.length) {
      best = word;
      bestDistance = steps;
    }
  }
  return best;
};
