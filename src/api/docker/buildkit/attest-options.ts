/** `--provenance`, `--sbom`, `--attest` as they come over the wire: understood, or refused by name (pure). */
import type { ProvenanceOptions } from "#build/attest/provenance.ts";
import { NaruError } from "#lib/errors.ts";
import { csvFields } from "#spec/dockerfile/csv.ts";

export interface AttestOptions {
  readonly provenance: ProvenanceOptions | undefined;
  /** Clients ask for it by themselves where nobody said anything: it goes where images are written for others alone. */
  readonly isProvenanceInline: boolean;
  readonly hasSbom: boolean;
}

const refuse = (what: string): NaruError =>
  new NaruError("not_implemented", `${what} is not supported by naru: leave it out`);

const fieldsOf = (value: string): ReadonlyMap<string, string> =>
  new Map(
    csvFields(value).flatMap((field): [string, string][] => {
      const at = field.indexOf("=");
      if (field === "") return [];
      return at < 0 ? [[field, "true"]] : [[field.slice(0, at), field.slice(at + 1)]];
    }),
  );

const isTrue = (text: string | undefined): boolean => text === "true" || text === "1";

const checkKeys = (
  name: string,
  fields: ReadonlyMap<string, string>,
  known: readonly string[],
): void => {
  for (const key of fields.keys()) {
    if (!known.includes(key)) throw refuse(`the option "${key}" of "${name}"`);
  }
};

const oneOf = <T extends string>(key: string, value: string, known: readonly T[]): T => {
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  const expected = known.join(" or ");
  throw new NaruError("invalid_argument", `"${key}=${value}" is not understood: use ${expected}`);
};

const PROVENANCE_KEYS = [
  "mode",
  "version",
  "builder-id",
  "reproducible",
  "inline-only",
  "disabled",
  "type",
];

const provenanceOf = (fields: ReadonlyMap<string, string>): ProvenanceOptions | undefined => {
  checkKeys("attest:provenance", fields, PROVENANCE_KEYS);
  if (isTrue(fields.get("disabled"))) return undefined;
  return {
    mode: oneOf("mode", fields.get("mode") ?? "min", ["min", "max"]),
    version: oneOf("version", fields.get("version") ?? "v0.2", ["v0.2", "v1"]),
    builderId: fields.get("builder-id") ?? "",
    isReproducible: isTrue(fields.get("reproducible")),
  };
};

const hasSbomIn = (value: string): boolean => {
  const fields = fieldsOf(value);
  checkKeys("attest:sbom", fields, ["generator", "disabled", "type"]);
  if (isTrue(fields.get("disabled"))) return false;
  const generator = fields.get("generator") ?? "";
  if (generator === "") return true;
  const remedy = "naru looks into the result by itself: use --sbom=true";
  throw new NaruError("not_implemented", `the scanner "${generator}" is not supported: ${remedy}`);
};

/** Throws invalid_argument and not_implemented. */
export const attestOptionsOf = (attributes: Readonly<Record<string, string>>): AttestOptions => {
  const known = ["attest:provenance", "attest:sbom"];
  for (const name of Object.keys(attributes)) {
    if (name.startsWith("attest:") && !known.includes(name)) throw refuse(`"${name}"`);
  }
  const text = attributes["attest:provenance"];
  const fields = text === undefined ? undefined : fieldsOf(text);
  const sbom = attributes["attest:sbom"];
  return {
    provenance: fields === undefined ? undefined : provenanceOf(fields),
    isProvenanceInline: isTrue(fields?.get("inline-only")),
    hasSbom: sbom !== undefined && hasSbomIn(sbom),
  };
};
