/** What an image's layers hold, told by instruction: sizes, and what does not belong there. Pure. */
import type { LayerFile, SavedImage, SavedLayer } from "#cli/image/explain/archive.ts";
import {
  cacheOf,
  isSecretVariable,
  secretsInInstruction,
  withoutSecrets,
} from "#cli/image/explain/rules.ts";
import { historyWithLayers } from "#spec/image/config.ts";

export type FindingKind = "secret" | "cache" | "duplicate" | "replaced";

export interface Instruction {
  readonly text: string;
  /** Number of its layer, from 0; undefined for what made no files. */
  readonly layer: number | undefined;
  readonly sizeBytes: number;
  readonly files: number;
}

export interface Finding {
  readonly kind: FindingKind;
  readonly what: string;
  /** With a leading slash; undefined for what stands in the configuration. */
  readonly path: string | undefined;
  readonly line?: number;
  /** Index of the instruction that brought it. */
  readonly instruction: number;
  /** Of the one that took it out of sight: it can still be read from the layer. */
  readonly removedBy?: number;
  readonly sizeBytes: number;
  readonly remedy: string;
}

export interface Explanation {
  readonly instructions: readonly Instruction[];
  readonly sizeBytes: number;
  /** Bytes that no container can see, and those that are there twice. */
  readonly wastedBytes: number;
  readonly findings: readonly Finding[];
}

/** Smaller ones are not worth a word. */
const DUPLICATE_BYTES = 64 * 1024;
const CACHE_BYTES = 128 * 1024;

const textOf = (createdBy: string): string =>
  createdBy
    .replace(/^\/bin\/sh -c #\(nop\)\s+/, "")
    .replace(/^(\|\d+ .*?)?\/bin\/sh -c /, (_all, args: string | undefined) => `RUN ${args ?? ""}`)
    .replace(/\s+# buildkit$/, "")
    .replaceAll(/\s+/g, " ")
    .trim();

const sizeOf = ({ files }: SavedLayer): number =>
  files.reduce((sum, file) => sum + file.sizeBytes, 0);

const instructionsOf = ({ config, layers }: SavedImage): Instruction[] => {
  const history = historyWithLayers(config).map(({ entry, layerIndex }): Instruction => {
    const layer = layerIndex === undefined ? undefined : layers[layerIndex];
    return {
      text: textOf(withoutSecrets(entry.created_by ?? entry.comment ?? "")),
      layer: layer === undefined ? undefined : layerIndex,
      sizeBytes: layer === undefined ? 0 : sizeOf(layer),
      files: layer?.files.length ?? 0,
    };
  });
  const told = new Set(history.map(({ layer }) => layer));
  const untold = layers.flatMap((layer, index): Instruction[] =>
    told.has(index)
      ? []
      : [
          {
            text: "(no history)",
            layer: index,
            sizeBytes: sizeOf(layer),
            files: layer.files.length,
          },
        ],
  );
  return [...history, ...untold];
};

/** Which layer takes a lower layer's file out of sight, by path. */
class Fates {
  readonly #layers: readonly { removed: readonly string[]; paths: ReadonlySet<string> }[];

  constructor(layers: readonly SavedLayer[]) {
    this.#layers = layers.map(({ files, removed }) => ({
      removed,
      paths: new Set(files.map(({ path }) => path)),
    }));
  }

  /** Layer number and whether a newer file stands in its place. */
  of(path: string, layer: number): { layer: number; isReplaced: boolean } | undefined {
    for (let index = layer + 1; index < this.#layers.length; index += 1) {
      const above = this.#layers[index];
      if (above === undefined) break;
      if (above.paths.has(path)) return { layer: index, isReplaced: true };
      const isRemoved = above.removed.some(
        (gone) =>
          gone === path || path.startsWith(gone.endsWith("/") || gone === "" ? gone : `${gone}/`),
      );
      if (isRemoved) return { layer: index, isReplaced: false };
    }
    return undefined;
  }
}

class Explainer {
  readonly findings: Finding[] = [];
  wastedBytes = 0;
  readonly #instructions: readonly Instruction[];
  readonly #fates: Fates;

  constructor({ config, layers }: SavedImage, instructions: readonly Instruction[]) {
    this.#instructions = instructions;
    this.#fates = new Fates(layers);
    this.#configuration(config);
    for (const [index, layer] of layers.entries()) this.#layer(index, layer);
    this.#duplicates(layers);
  }

  #instructionOf(layer: number): number {
    return this.#instructions.findIndex((instruction) => instruction.layer === layer);
  }

  #fate(path: string, layer: number): { removedBy?: number } {
    const fate = this.#fates.of(path, layer);
    return fate === undefined ? {} : { removedBy: this.#instructionOf(fate.layer) };
  }

  #configuration({ config, history }: SavedImage["config"]): void {
    const remedy =
      "give it at run time, or with RUN --mount=type=secret; then make it anew: it is known now";
    const told = new Set<string>();
    const add = (name: string, where: string, instruction: number): void => {
      if (told.has(name)) return;
      told.add(name);
      const what = `value of ${name} in the ${where}`;
      const path = undefined;
      this.findings.push({ kind: "secret", what, path, instruction, sizeBytes: 0, remedy });
    };
    for (const [instruction, { created_by: text = "" }] of (history ?? []).entries()) {
      for (const name of secretsInInstruction(text)) add(name, "history", instruction);
    }
    for (const entry of config?.Env ?? []) {
      const at = entry.indexOf("=");
      const name = entry.slice(0, at);
      if (!isSecretVariable(name, entry.slice(at + 1))) continue;
      add(name, "environment", this.#instructions.length - 1);
    }
  }

  #layer(index: number, layer: SavedLayer): void {
    const instruction = this.#instructionOf(index);
    const caches = new Map<string, { finding: Finding; bytes: number }>();
    let replaced = 0;
    let replacedFiles = 0;
    for (const file of layer.files) {
      this.#secrets(file, index, instruction);
      const fate = this.#fates.of(file.path, index);
      if (fate !== undefined) {
        this.wastedBytes += file.sizeBytes;
        replaced += file.sizeBytes;
        replacedFiles += 1;
      }
      const cache = cacheOf(file.path);
      if (cache === undefined) continue;
      const known = caches.get(cache.directory);
      const bytes = (known?.bytes ?? 0) + file.sizeBytes;
      const finding: Finding = known?.finding ?? {
        kind: "cache",
        what: cache.rule.what,
        path: cache.directory,
        instruction,
        ...this.#fate(file.path, index),
        sizeBytes: 0,
        remedy: cache.rule.remedy,
      };
      caches.set(cache.directory, { finding, bytes });
    }
    for (const { finding, bytes } of caches.values()) {
      if (bytes >= CACHE_BYTES) this.findings.push({ ...finding, sizeBytes: bytes });
    }
    if (replaced < DUPLICATE_BYTES) return;
    this.findings.push({
      kind: "replaced",
      what: `${replacedFiles} ${replacedFiles === 1 ? "file" : "files"} that later instructions delete or write anew`,
      path: undefined,
      instruction,
      sizeBytes: replaced,
      remedy: "do it in one RUN, or copy only what is needed into a last stage",
    });
  }

  #secrets(file: LayerFile, layer: number, instruction: number): void {
    for (const { what, line } of file.secrets) {
      const fate = this.#fate(file.path, layer);
      const isGone = fate.removedBy !== undefined;
      this.findings.push({
        kind: "secret",
        what,
        path: `/${file.path}`,
        ...(line === undefined ? {} : { line }),
        instruction,
        ...fate,
        sizeBytes: file.sizeBytes,
        remedy: isGone
          ? "deleting does not take it out of the layer: RUN --mount=type=secret, and make it anew"
          : "RUN --mount=type=secret, .dockerignore, and make it anew: it is known now",
      });
    }
  }

  /** The same content in several layers. What was written anew at its own path is counted as replaced. */
  #duplicates(layers: readonly SavedLayer[]): void {
    const first = new Map<string, { path: string; layer: number }>();
    for (const [layer, { files }] of layers.entries()) {
      for (const { path, digest, sizeBytes } of files) {
        if (digest === "" || sizeBytes < DUPLICATE_BYTES) continue;
        const known = first.get(digest);
        if (known === undefined) {
          first.set(digest, { path, layer });
          continue;
        }
        if (known.layer === layer) continue;
        const isSamePath = known.path === path;
        if (!isSamePath) this.wastedBytes += sizeBytes;
        this.findings.push({
          kind: "duplicate",
          what: isSamePath
            ? "the same content again (owner or mode changed)"
            : `the same content as /${known.path}`,
          path: `/${path}`,
          instruction: this.#instructionOf(layer),
          sizeBytes,
          remedy: isSamePath
            ? "COPY --chown or --chmod, instead of a RUN after it"
            : "link, or copy it once",
        });
      }
    }
  }
}

const ORDER: readonly FindingKind[] = ["secret", "cache", "replaced", "duplicate"];

export const explainImage = (image: SavedImage): Explanation => {
  const instructions = instructionsOf(image);
  const { findings, wastedBytes } = new Explainer(image, instructions);
  return {
    instructions,
    sizeBytes: instructions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    wastedBytes,
    findings: findings.toSorted(
      (a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || b.sizeBytes - a.sizeBytes,
    ),
  };
};
