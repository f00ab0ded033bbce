/** Columns of equal width: three spaces apart and at least ten wide, as docker's tables. */

const MIN_WIDTH = 10;
const PADDING = 3;

const widthOf = (text: string): number => Array.from(text).length;

/** Cells are separated by tabs; the last cell of a line is not padded. */
export const alignColumns = (
  lines: readonly string[],
  minWidth = MIN_WIDTH,
  padding = PADDING,
): string => {
  const rows = lines.map((line) => line.split("\t"));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.slice(0, -1).entries()) {
      widths[column] = Math.max(widths[column] ?? minWidth, widthOf(cell) + padding);
    }
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1
            ? cell
            : cell + " ".repeat((widths[column] ?? 0) - widthOf(cell)),
        )
        .join(""),
    )
    .map((line) => `${line}\n`)
    .join("");
};
