/** `naru image explain`: which instruction brings which bytes, and what does not belong in the image. */
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { list, text } from "#cli/framework/flags.ts";
import { alignColumns } from "#cli/format/table.ts";
import { humanSize } from "#cli/format/units.ts";
import { ellipsis } from "#cli/container/rows.ts";
import type { Explanation, Finding, FindingKind } from "#cli/image/explain/report.ts";
import { NaruError } from "#lib/errors.ts";

const KINDS: Readonly<Record<string, readonly FindingKind[]>> = {
  secrets: ["secret"],
  caches: ["cache"],
  duplicates: ["duplicate", "replaced"],
  any: ["secret", "cache", "duplicate", "replaced"],
};
/** Exit code when `--fail-on` found something: not that of an error. */
const FOUND_EXIT_CODE = 3;
const SHOWN_OF_A_KIND = 20;

const kindsOf = (words: readonly string[]): ReadonlySet<FindingKind> =>
  new Set(
    words
      .flatMap((word) => word.split(","))
      .flatMap((word) => {
        const kinds = KINDS[word];
        if (kinds !== undefined) return kinds;
        const known = Object.keys(KINDS).join(", ");
        throw new NaruError("invalid_argument", `invalid --fail-on "${word}": use ${known}`);
      }),
  );

const share = (part: number, whole: number): string =>
  whole === 0 ? "" : `${((100 * part) / whole).toFixed(part * 1000 < whole ? 1 : 0)}%`;

const place = ({ path, line, instruction, removedBy }: Finding): string => {
  const where = path === undefined ? "" : `${path}${line === undefined ? "" : `:${line}`}`;
  const gone =
    removedBy === undefined ? "" : `, deleted by #${removedBy + 1} but still in the layer`;
  return `${where}${where === "" ? "" : " "}(#${instruction + 1}${gone})`;
};

const findingLines = (findings: readonly Finding[]): string[] =>
  findings.flatMap((finding, index) => {
    const isNew =
      findings[index - 1]?.remedy !== finding.remedy || findings[index - 1]?.kind !== finding.kind;
    const size = finding.sizeBytes === 0 ? "" : ` ${humanSize(finding.sizeBytes)}`;
    const line = `${finding.kind}: ${finding.what}${size} ${place(finding)}`;
    return isNew ? [line, `    ${finding.remedy}`] : [line];
  });

/** Long lists are cut: the first ones are the largest. */
const shownOf = (findings: readonly Finding[]): { shown: Finding[]; hidden: number } => {
  const counts = new Map<FindingKind, number>();
  const shown = findings.filter(({ kind }) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count <= SHOWN_OF_A_KIND;
  });
  return { shown, hidden: findings.length - shown.length };
};

const tableOf = ({ instructions, sizeBytes, wastedBytes, findings }: Explanation): string => {
  const rows = instructions.map(({ text: shown, layer, sizeBytes: bytes, files }, index) =>
    [
      `#${index + 1}`,
      layer === undefined ? "-" : humanSize(bytes, 3),
      layer === undefined ? "" : share(bytes, sizeBytes),
      layer === undefined ? "" : String(files),
      ellipsis(shown, 80),
    ].join("\t"),
  );
  const { shown, hidden } = shownOf(findings);
  const lines = findingLines(shown);
  if (hidden > 0) lines.push(`and ${hidden} more: --format json has them all`);
  const waste =
    wastedBytes === 0 ? "" : `, ${humanSize(wastedBytes, 3)} of it out of sight or twice`;
  const summary = `${humanSize(sizeBytes, 3)} in ${instructions.filter(({ layer }) => layer !== undefined).length} layers${waste}`;
  return [
    alignColumns(["#\tSIZE\tSHARE\tFILES\tINSTRUCTION", ...rows], 5),
    `${summary}\n`,
    ...(lines.length === 0
      ? ["nothing suspicious found\n"]
      : ["\n", ...lines.map((line) => `${line}\n`)]),
  ].join("");
};

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE",
  description:
    "Show how many bytes each instruction adds, and what does not belong in an image: credentials (also those that a " +
    "later instruction deletes), caches of package managers, files that are there twice. Reads the whole image.",
  flags: {
    "fail-on": list(
      `Exit with ${FOUND_EXIT_CODE} when there are: ${Object.keys(KINDS).join(", ")}`,
    ),
    format: text("Format of the output: table or json"),
  },
  args: ONE,
  completes: "images",
  examples: ["naru image explain app", "naru image explain --fail-on secrets,caches app:ci"],
  run: async ({ context, flags, args }) => {
    const failing = kindsOf(flags["fail-on"]);
    const format = flags.format ?? "table";
    if (format !== "table" && format !== "json") {
      throw new NaruError("invalid_argument", `invalid --format "${format}": use table or json`);
    }
    const client = await context.client();
    const { readSavedImage } = await import("#cli/image/explain/archive.ts");
    const { explainImage } = await import("#cli/image/explain/report.ts");
    const response = await client.call("imageSave", { query: { names: args } });
    const explanation = explainImage(await readSavedImage(response.body));
    context.output.print(
      format === "json" ? `${JSON.stringify(explanation, undefined, 2)}\n` : tableOf(explanation),
    );
    return explanation.findings.some(({ kind }) => failing.has(kind)) ? FOUND_EXIT_CODE : 0;
  },
});
