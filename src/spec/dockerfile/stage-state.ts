/** A stage while its instructions are gone through: the environment so far, the config so far. */
import { posix } from "node:path";
import type { Escape, StageInstruction, Word } from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { type ExpandOptions, type Expansion, expandWord } from "#spec/dockerfile/expand.ts";
import type { Plan, RunConfig, StageState } from "#spec/dockerfile/plan.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];

/** Told of each variable that was used without being set, and what names there are. */
export type MissingObserver = (
  instruction: StageInstruction,
  isTrigger: boolean,
  missing: readonly string[],
  known: readonly string[],
) => void;

/** What a stage begins with. */
export type StageBase =
  | { readonly kind: "image"; readonly config: RunConfig; readonly author?: string | undefined }
  | { readonly kind: "stage"; readonly state: StageState }
  | { readonly kind: "scratch" };

/** Also the directory of a named context that is a tree of files. */
const SCRATCH_CONFIG: RunConfig = { WorkingDir: "/" };

const startOf = (base: StageBase): Pick<StageState, "config" | "author"> => {
  if (base.kind === "stage") return base.state;
  if (base.kind === "scratch") return { config: SCRATCH_CONFIG, author: undefined };
  return { config: base.config, author: base.author };
};

/** Go's path.Join("/", …). */
export const joinPath = (directory: string, path: string): string => {
  const joined = posix.join("/", directory, path);
  return joined.length > 1 && joined.endsWith("/") ? joined.slice(0, -1) : joined;
};

const splitPair = (pair: string): readonly [name: string, value: string] => {
  const equals = pair.indexOf("=");
  return equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
};

export class StageDraft {
  readonly plan: Plan;
  readonly #observe: MissingObserver | undefined;
  readonly #env: Map<string, string>;
  /** Name to "NAME=value", as the image's config has it. */
  readonly #imageEnv: Map<string, string>;
  readonly #args: Map<string, string | undefined>;
  #config: RunConfig;
  author: string | undefined;
  /** CMD stood in this very stage. */
  isCmdSet = false;
  /** The one that is gone through. */
  #current: { instruction: StageInstruction; isTrigger: boolean } | undefined;

  constructor(plan: Plan, base: StageBase, observe?: MissingObserver) {
    this.plan = plan;
    this.#observe = observe;
    const { config, author } = startOf(base);
    // Triggers are for the stage on top alone.
    const { OnBuild: _, ...kept } = config;
    const env = [...(config.Env ?? [])];
    if (!env.some((pair) => pair.startsWith("PATH="))) env.push(`PATH=${DEFAULT_PATH}`);
    this.#config = { ...kept, Env: env };
    this.#imageEnv = new Map(env.map((pair) => [splitPair(pair)[0], pair]));
    this.author = author;
    this.#env = new Map(base.kind === "stage" ? base.state.env : env.map(splitPair));
    this.#args = new Map(base.kind === "stage" ? base.state.args : []);
  }

  begin(instruction: StageInstruction, isTrigger: boolean): void {
    this.#current = { instruction, isTrigger };
  }

  get config(): RunConfig {
    return this.#config;
  }

  set(change: RunConfig): void {
    this.#config = { ...this.#config, ...change };
  }

  get state(): StageState {
    return { config: this.#config, author: this.author, env: this.#env, args: this.#args };
  }

  get escape(): Escape {
    // A trigger of an image was written with that file's escape; which one it was is lost.
    return this.plan.dockerfile.directives.escape;
  }

  get env(): ReadonlyMap<string, string> {
    return this.#env;
  }

  get args(): ReadonlyMap<string, string | undefined> {
    return this.#args;
  }

  get cwd(): string {
    const directory = this.#config.WorkingDir ?? "";
    return directory.startsWith("/") ? directory : joinPath("/", directory);
  }

  get user(): string {
    return this.#config.User ?? "";
  }

  withShell(line: string): string[] {
    const shell = this.#config.Shell ?? [];
    return [...(shell.length > 0 ? shell : DEFAULT_SHELL), line];
  }

  lookup = (name: string): string | undefined => this.#env.get(name);

  /** Throws Complaint. */
  expansion(text: string, options: ExpandOptions = {}): Expansion {
    const expansion = expandWord(text, this.lookup, { escape: this.escape, ...options });
    const missing = [...expansion.missing].filter((name) => !this.#args.has(name));
    if (missing.length > 0 && this.#observe !== undefined && this.#current !== undefined) {
      const { instruction, isTrigger } = this.#current;
      this.#observe(instruction, isTrigger, missing, [...this.#env.keys()]);
    }
    return expansion;
  }

  /** What is wrong in it is told at its own place, where it stands in this file. */
  expand(word: Word): string {
    try {
      return this.expansion(word.text).text;
    } catch (error) {
      if (!(error instanceof Complaint) || this.#current?.isTrigger === true) throw error;
      throw new Complaint(error.message, word.range);
    }
  }

  /** The words of one; what is not set in them is not told of. */
  quietWords(word: Word): readonly string[] {
    return expandWord(word.text, this.lookup, { escape: this.escape }).words;
  }

  expandOptional(word: Word | undefined): string | undefined {
    const text = word === undefined ? "" : this.expand(word);
    return text === "" ? undefined : text;
  }

  /** For ENV: also in the image. A name keeps its place in the list. */
  setEnv(added: readonly (readonly [name: string, value: string])[]): void {
    for (const [name, value] of added) {
      this.#env.set(name, value);
      this.#imageEnv.set(name, `${name}=${value}`);
    }
    this.set({ Env: [...this.#imageEnv.values()] });
  }

  /** For ARG: in the environment of the build alone. */
  setArg(name: string, value: string | undefined): void {
    this.#args.set(name, value);
    if (value !== undefined) this.#env.set(name, value);
  }
}
