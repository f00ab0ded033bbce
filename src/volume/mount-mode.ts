/** The third part of `-v src:dst:mode`: words separated by commas, at most one of each kind. Pure. */
import { NaruError } from "#lib/errors.ts";
import type { BindOptions } from "#spec/docker/host-config.ts";

export type Propagation = NonNullable<Exclude<BindOptions["Propagation"], "">>;

export interface MountMode {
  readonly isReadOnly: boolean;
  readonly propagation: Propagation | undefined;
  readonly isNoCopy: boolean;
}

const ACCESS = new Set(["rw", "ro"]);
const LABELS = new Set(["z", "Z"]);
const CONSISTENCY = new Set(["consistent", "cached", "delegated"]);
const COPY = new Set(["nocopy"]);

export const PROPAGATIONS: ReadonlySet<string> = new Set<Propagation>([
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
]);

const KINDS: readonly ReadonlySet<string>[] = [ACCESS, LABELS, PROPAGATIONS, CONSISTENCY, COPY];

/** undefined when the text is no mode. */
export const parseMountMode = (text: string): MountMode | undefined => {
  const words = text === "" ? [] : text.split(",");
  const kinds = words.map((word) => KINDS.find((kind) => kind.has(word)));
  if (kinds.includes(undefined) || new Set(kinds).size !== kinds.length) return undefined;
  return {
    isReadOnly: words.includes("ro"),
    propagation: words.find((word): word is Propagation => PROPAGATIONS.has(word)),
    isNoCopy: words.includes("nocopy"),
  };
};

export interface VolumesFromSpec {
  readonly container: string;
  readonly mode: string;
  readonly isReadOnly: boolean;
}

/** "web", "web:ro". Propagation and nocopy have no place here. Throws invalid_argument. */
export const parseVolumesFrom = (text: string): VolumesFromSpec => {
  if (text === "") {
    throw new NaruError("invalid_argument", "volumes-from specification cannot be an empty string");
  }
  const at = text.indexOf(":");
  const container = at < 0 ? text : text.slice(0, at);
  const mode = at < 0 ? "rw" : text.slice(at + 1);
  const parsed = parseMountMode(mode);
  if (parsed === undefined || parsed.propagation !== undefined || parsed.isNoCopy) {
    throw new NaruError("invalid_argument", `invalid mode: ${mode}`);
  }
  return { container, mode, isReadOnly: parsed.isReadOnly };
};
