/** `naru build --watch`: builds again when a file changes that the build reads. */
import { type FSWatcher, lstatSync, watch } from "node:fs";
import { relative, resolve } from "node:path";
import type { CliContext } from "#cli/context.ts";
import { errorText } from "#cli/report.ts";
import { monotonicMs, sleep } from "#lib/clock.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import { IgnoreMatcher, parseDockerignore } from "#spec/dockerfile/dockerignore.ts";
import type { Dockerfile } from "#spec/dockerfile/dockerfile.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";

/** Editors write in several steps: changes that come together are one. */
const SETTLE_MS = 100;
const SETTLE_MAX_MS = 2_000;
const SHOWN_FILES = 3;

export interface WatchedTree {
  /** Of the context or a named one. */
  readonly root: string;
  /** True for a path, relative to the root, that a build of now would read. */
  matters(path: string): boolean;
}

/** What COPY, ADD and bind mounts name of the context; undefined: it cannot be told without building. */
const sourcesOf = (dockerfile: Dockerfile): readonly string[] | undefined => {
  const words: string[] = [];
  for (const { instructions } of dockerfile.stages) {
    for (const instruction of instructions) {
      if (instruction.name === "RUN" && instruction.mounts.length > 0) return undefined;
      if (instruction.name === "ONBUILD") return undefined;
      if (instruction.name !== "COPY" && instruction.name !== "ADD") continue;
      if (instruction.name === "COPY" && instruction.from !== undefined) continue;
      words.push(...instruction.sources.map(({ text }) => text));
    }
  }
  return words.some((word) => /[$!#\\"']/.test(word)) ? undefined : words;
};

/** Which paths of the context change what comes out of this Dockerfile. Pure. */
export const contextTest = (dockerfile: string, ignore: string): ((path: string) => boolean) => {
  const ignored = new IgnoreMatcher(parseDockerignore(ignore));
  let sources: readonly string[] | undefined;
  try {
    sources = sourcesOf(parseDockerfile(dockerfile));
  } catch (error) {
    // What cannot be read is told by the build; any change may mend it.
    if (!hasCode(error, "invalid_argument")) throw error;
  }
  const names = sources?.map((source) => source.replace(/^(\.?\/)+/, "").replace(/^\.$/, ""));
  const isWhole = names === undefined || names.includes("");
  const named = isWhole ? undefined : new IgnoreMatcher(parseDockerignore(names.join("\n")));
  return (path) => !ignored.isIgnored(path) && (named === undefined || named.isIgnored(path));
};

/** Metadata alone: a file that was only opened or read has not changed. */
const stateOf = (path: string): string => {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return "";
  // A directory changes with what is in it, which is told by itself.
  return stat.isDirectory() ? `d ${stat.mode}` : `${stat.mode} ${stat.size} ${stat.mtimeNs}`;
};

interface Options {
  readonly context: CliContext;
  /** Asked again before each build: .dockerignore and Dockerfile change, too. */
  readonly trees: () => Promise<readonly WatchedTree[]>;
  /** Files that count wherever they are: the Dockerfile and its .dockerignore. */
  readonly files: readonly string[];
  /** What the build itself writes. */
  readonly outputs: readonly string[];
  readonly build: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

class BuildWatch {
  readonly #options: Options;
  readonly #files: ReadonlySet<string>;
  readonly #states = new Map<string, string>();
  readonly #changed = new Set<string>();
  #trees: readonly WatchedTree[] = [];
  #watchers: FSWatcher[] = [];
  #lastMs = 0;
  #wake: (() => void) | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#files = new Set(options.files.map((file) => resolve(file)));
  }

  async run(): Promise<void> {
    const { signal, context } = this.#options;
    const wake = (): void => this.#wake?.();
    signal.addEventListener("abort", wake, { once: true });
    try {
      this.#trees = await this.#options.trees();
      this.#open();
      while (!signal.aborted) {
        await this.#buildOnce();
        if (signal.aborted) break;
        if (this.#changed.size === 0) {
          await context.output.write("stderr", "watching for changes, Ctrl-C ends\n");
        }
        await this.#nextChange();
      }
    } finally {
      signal.removeEventListener("abort", wake);
      for (const watcher of this.#watchers) watcher.close();
    }
  }

  /** A change while it runs ends it: what it would make is old already. */
  async #buildOnce(): Promise<void> {
    const { signal, context, build } = this.#options;
    const abort = new AbortController();
    const onChange = (): void => abort.abort();
    this.#wake = onChange;
    try {
      this.#trees = await this.#options.trees();
      await build(AbortSignal.any([signal, abort.signal]));
    } catch (error) {
      if (signal.aborted || abort.signal.aborted) return;
      // A source that does not compile is what watching is for: the next change may mend it.
      await context.output.write("stderr", `${errorText(error)}\n`);
    } finally {
      this.#wake = undefined;
    }
  }

  /** Resolves when a change has settled, or at the end of it all. */
  async #nextChange(): Promise<void> {
    const { signal, context } = this.#options;
    while (this.#changed.size === 0 && !signal.aborted) {
      const { promise, resolve: go } = Promise.withResolvers<void>();
      this.#wake = go;
      await promise;
    }
    this.#wake = undefined;
    const beganMs = monotonicMs();
    while (!signal.aborted && monotonicMs() - this.#lastMs < SETTLE_MS) {
      if (monotonicMs() - beganMs > SETTLE_MAX_MS) break;
      await sleep(SETTLE_MS);
    }
    if (signal.aborted) return;
    const paths = [...this.#changed].toSorted();
    this.#changed.clear();
    const more = paths.length > SHOWN_FILES ? ` and ${paths.length - SHOWN_FILES} more` : "";
    const shown = paths.slice(0, SHOWN_FILES).join(", ");
    await context.output.write("stderr", `\nchanged: ${shown}${more}\n`);
  }

  #open(): void {
    for (const { root } of this.#trees) {
      this.#watch(root, true, (name) => {
        const tree = this.#trees.find((one) => one.root === root);
        if (tree?.matters(name) === true) this.#notice(resolve(root, name));
      });
    }
    // By its folder: editors put a new file in the place of the old one.
    for (const folder of new Set([...this.#files].map((file) => resolve(file, "..")))) {
      this.#watch(folder, false, (name) => {
        const path = resolve(folder, name);
        if (this.#files.has(path)) this.#notice(path);
      });
    }
  }

  #watch(root: string, recursive: boolean, onChange: (name: string) => void): void {
    try {
      const watcher = watch(root, { recursive, persistent: true }, (_event, name) => {
        if (name !== null) onChange(name);
      });
      this.#watchers.push(watcher);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOSPC") throw error;
      throw new NaruError(
        "resource_exhausted",
        `"${root}" has more directories than may be watched: raise fs.inotify.max_user_watches`,
        { cause: error },
      );
    }
  }

  #notice(path: string): void {
    const { outputs } = this.#options;
    if (outputs.some((output) => path === output || path.startsWith(`${output}/`))) return;
    const state = stateOf(path);
    if (this.#states.get(path) === state) return;
    this.#states.set(path, state);
    this.#changed.add(relative(".", path));
    this.#lastMs = monotonicMs();
    this.#wake?.();
  }
}

/** Builds, and again at each change, until `signal`. */
export const watchBuild = (options: Options): Promise<void> => new BuildWatch(options).run();

/** Runs `action` with a signal that Ctrl-C and SIGTERM give; their second time ends the process as usual. */
export const untilInterrupted = async (
  action: (signal: AbortSignal) => Promise<void>,
): Promise<void> => {
  const abort = new AbortController();
  const stop = (): void => abort.abort(new NaruError("canceled", "the build was canceled"));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    await action(abort.signal);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
};
