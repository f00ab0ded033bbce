/** Why a step is not in the cache: what its key is made of now, against the last time. */
import type { InputDigest } from "#build/op/tree-digest.ts";
import { now } from "#lib/clock.ts";
import type { BuildCacheRows } from "#metadata/build-cache.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface KeyParts {
  readonly definition: object;
  readonly parent: Digest | undefined;
  readonly inputs: Readonly<Record<string, InputDigest>>;
}

/** As it is stored. */
interface StoredParts {
  readonly definition: Readonly<Record<string, unknown>>;
  readonly parent: string | null;
  readonly inputs: Readonly<
    Record<string, { readonly digest: string; readonly files?: Readonly<Record<string, string>> }>
  >;
}

/** Beyond this only the sum is remembered. */
const FILES_MAX_COUNT = 5000;
const NAMED_MAX_COUNT = 5;
const SHORT_DIGITS = 12;

/** A file's line without most of its digest: enough to see that it changed. */
const shorten = (text: string): string =>
  text.replaceAll(/[0-9a-f]{64}/g, (hex) => hex.slice(0, SHORT_DIGITS));

export const writeKeyParts = (rows: BuildCacheRows, step: string, parts: KeyParts): void => {
  const inputs = Object.fromEntries(
    Object.entries(parts.inputs).map(([name, { digest, files }]) => [
      name,
      files.size > FILES_MAX_COUNT
        ? { digest }
        : {
            digest,
            files: Object.fromEntries([...files].map(([path, text]) => [path, shorten(text)])),
          },
    ]),
  );
  const stored = { definition: parts.definition, parent: parts.parent ?? null, inputs };
  rows.putKeyParts(step, JSON.stringify(stored), now());
};

export const readKeyParts = (rows: BuildCacheRows, step: string): StoredParts | undefined => {
  const text = rows.keyParts(step);
  return text === undefined ? undefined : (JSON.parse(text) as StoredParts);
};

const listed = (names: readonly string[]): string => {
  const shown = names.slice(0, NAMED_MAX_COUNT).join(", ");
  const rest = names.length - NAMED_MAX_COUNT;
  return rest > 0 ? `${shown} and ${rest} more` : shown;
};

const kindOfChange = (before: string, after: string): string => {
  const [oldMode, oldOwner, ...oldContent] = before.split(" ");
  const [mode, owner, ...content] = after.split(" ");
  const changed = [
    ...(oldContent.join(" ") === content.join(" ") ? [] : ["content"]),
    ...(oldMode === mode ? [] : ["mode"]),
    ...(oldOwner === owner ? [] : ["owner"]),
  ];
  return changed.join(", ");
};

const fileChanges = (
  before: Readonly<Record<string, string>>,
  after: ReadonlyMap<string, string>,
): string[] => {
  const changes: string[] = [];
  for (const [path, full] of after) {
    const text = shorten(full);
    const old = before[path];
    if (old === undefined) changes.push(`${path} (new)`);
    else if (old !== text) changes.push(`${path} (${kindOfChange(old, text)})`);
  }
  for (const path of Object.keys(before)) if (!after.has(path)) changes.push(`${path} (gone)`);
  return changes;
};

const asText = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value ?? null);

const listChange = (before: unknown, after: unknown): string[] | undefined => {
  if (!Array.isArray(before) || !Array.isArray(after)) return undefined;
  const [old, fresh] = [new Set(before.map(asText)), new Set(after.map(asText))];
  return [...fresh]
    .filter((text) => !old.has(text))
    .concat([...old].filter((text) => !fresh.has(text)).map((text) => `without ${text}`));
};

const definitionChanges = (
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): string[] => {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => {
    const [old, fresh] = [before[name], after[name]];
    if (JSON.stringify(old) === JSON.stringify(fresh)) return [];
    const changed = listChange(old, fresh);
    if (changed !== undefined) return [`${name} changed: ${listed(changed)}`];
    return [`${name} changed from ${asText(old)} to ${asText(fresh)}`];
  });
};

/** One line for a user. */
export const explainMiss = (before: StoredParts | undefined, after: KeyParts): string => {
  if (before === undefined) return "it was not built before";
  const reasons = definitionChanges(
    before.definition,
    after.definition as Readonly<Record<string, unknown>>,
  );
  for (const [name, input] of Object.entries(after.inputs)) {
    const old = before.inputs[name];
    if (old?.digest === input.digest) continue;
    const changes = old?.files === undefined ? [] : fileChanges(old.files, input.files);
    if (changes.length === 0) reasons.push(`${name} changed`);
    else {
      const noun = changes.length === 1 ? "1 file" : `${changes.length} files`;
      reasons.push(`${noun} of ${name} changed: ${listed(changes)}`);
    }
  }
  if (before.parent !== (after.parent ?? null)) {
    reasons.push("the files that it starts from are other ones");
  }
  return reasons.length === 0 ? "its result is not in the cache any more" : reasons.join("; ");
};
