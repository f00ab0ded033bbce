/** What variables are worth at one point of a stage, and where an expansion's errors belong. */
import type { RunConfig } from "#build/state.ts";
import type { Dockerfile, Word } from "#spec/dockerfile/dockerfile.ts";
import { Complaint, DockerfileError } from "#spec/dockerfile/error.ts";
import { type ExpandOptions, type Expansion, expandWord } from "#spec/dockerfile/expand.ts";

export class StageScope {
  /** ARGs so far; undefined for those without a value. */
  readonly declared = new Map<string, string | undefined>();
  readonly #dockerfile: Dockerfile;
  readonly #configNow: () => RunConfig;

  constructor(dockerfile: Dockerfile, configNow: () => RunConfig) {
    this.#dockerfile = dockerfile;
    this.#configNow = configNow;
  }

  /** ENV hides ARG. */
  lookup(name: string): string | undefined {
    const entry = (this.#configNow().Env ?? []).findLast((text) => text.startsWith(`${name}=`));
    return entry === undefined ? this.declared.get(name) : entry.slice(name.length + 1);
  }

  text(text: string, options: ExpandOptions = {}): string {
    const { escape } = this.#dockerfile.directives;
    return expandWord(text, (name) => this.lookup(name), { escape, ...options }).text;
  }

  expansion(word: Word): Expansion {
    const { escape } = this.#dockerfile.directives;
    return this.placed(word, () => expandWord(word.text, (name) => this.lookup(name), { escape }));
  }

  expand(word: Word): string {
    return this.expansion(word).text;
  }

  /** What is wrong with a word is told with its place in the Dockerfile. */
  placed<T>({ range }: Pick<Word, "range">, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      const { text } = this.#dockerfile;
      throw new DockerfileError(error.message, text, error.range ?? range, error);
    }
  }
}
