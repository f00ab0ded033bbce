/** Lists as tables, as JSON lines or by the user's own template. */
import { evaluate } from "#cli/template/evaluate.ts";
import { headerFunctions } from "#cli/template/functions.ts";
import { parseTemplate } from "#cli/template/parser.ts";
import { alignColumns } from "#cli/format/table.ts";
import { hasCode, NaruError } from "#lib/errors.ts";

/** A row's fields; functions are called only when the template names them. */
export type Row = Readonly<Record<string, unknown>>;

export interface Listing {
  /** What `--format table` and no format at all mean. */
  readonly defaultTemplate: string;
  /** Column titles by field name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
  /** From --format, or from the user's config.json. */
  readonly format?: string | undefined;
  /** What `--format raw` writes of a row, by label: a field a line, and an empty line after the row. */
  readonly raw?: Readonly<Record<string, string>>;
  /** -q: one field a line. */
  readonly quietField?: string | undefined;
}

const TABLE = "table";

/** With -q only the line of that field. */
const rawTemplate = (raw: Readonly<Record<string, string>>, quietField?: string): string => {
  const lines = Object.entries(raw)
    .filter(([, field]) => quietField === undefined || field === quietField)
    .map(([label, field]) => `${label}:{{with .${field}}} {{.}}{{end}}`);
  return lines.join("\n") + (quietField === undefined ? "\n" : "");
};

const templateOf = (listing: Listing): { template: string; isTable: boolean } => {
  const { format, quietField } = listing;
  if (format === "raw" && listing.raw !== undefined) {
    return { template: rawTemplate(listing.raw, quietField), isTable: false };
  }
  const isTable = format === undefined || format === "" || format.startsWith(TABLE);
  if (quietField !== undefined && isTable) {
    return { template: `{{.${quietField}}}`, isTable: false };
  }
  if (format === undefined || format === "" || format.trim() === TABLE) {
    return { template: listing.defaultTemplate, isTable: true };
  }
  if (format === "json") return { template: "{{json .}}", isTable: false };
  const template = isTable ? format.slice(TABLE.length) : format;
  return {
    template: template.trim().replaceAll("\\t", "\t").replaceAll("\\n", "\n"),
    isTable,
  };
};

/** Docker words failures of list templates a little differently from those of inspect. */
const asListingError = (error: unknown): unknown => {
  if (!hasCode(error, "invalid_argument") || !(error instanceof NaruError)) return error;
  const phase = error.message.includes("executing") ? "execute" : "parse";
  return new NaruError(
    "invalid_argument",
    error.message
      .replace("template parsing error", `failed to ${phase} template`)
      .replace(/map has no entry for key "(\w+)"$/, "can't evaluate field $1 of this list"),
    { cause: error },
  );
};

const headerLabel = (name: unknown): string =>
  (String(name).split(".").at(-1) ?? "").replaceAll(/[-_]/g, " ");

/** The whole text, ready to print. */
export const renderListing = (listing: Listing): string => {
  const { template, isTable } = templateOf(listing);
  try {
    const nodes = parseTemplate(template);
    const lines = listing.rows.map((row) => evaluate(nodes, row));
    if (!isTable) return lines.map((line) => `${line}\n`).join("");
    const header: Row = { ...listing.headers, Label: (name: unknown) => headerLabel(name) };
    return alignColumns([evaluate(nodes, header, { functions: headerFunctions }), ...lines]);
  } catch (error) {
    throw asListingError(error);
  }
};
