/**
 * Debian's crun and conmon are linked with libsystemd, which brings six more libraries: a third of what it takes to
 * load them, at every start and exec, for functions that are not called here (crun's systemd cgroups, conmon's
 * journal, sd_notify). An empty library of that name stands in for it (decision 34).
 */
import { statSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { NaruError } from "#lib/errors.ts";
import { importsOf } from "#spec/elf/imports.ts";
import { standInLibrary } from "#spec/elf/stand-in.ts";

const LIBRARY = "libsystemd.so.0";
/** The first start has its time first. */
const DELAY_MS = 50;

const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** True when it loads in this environment without a word of complaint. */
const loads = async (program: string, env: Record<string, string>): Promise<boolean> => {
  const child = Bun.spawn({
    cmd: [program, "--version"],
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [said, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  return code === 0 && said === "";
};

/** Changes when a package brings another program under the same name. */
const stateOf = (program: string): string => {
  const { ino, mtimeMs, size } = statSync(program, { throwIfNoEntry: false }) ?? {};
  return `${ino} ${mtimeMs} ${size}`;
};

export interface Libraries {
  /** The environment of conmon and the runtime. */
  env(): Record<string, string>;
}

export class LeanLibraries implements Libraries {
  readonly #directory: string;
  readonly #programs: readonly string[];
  readonly #onError: (reason: unknown) => void;
  #env: Record<string, string> = { PATH };
  /** Of the programs that the library was last made for. */
  #madeFor: string | undefined;

  /**
   * `programs` are these alone; what they run with their environment must do without the library too. `onError` hears
   * why they load as they always did.
   */
  constructor(directory: string, programs: readonly string[], onError: (reason: unknown) => void) {
    this.#directory = directory;
    this.#programs = programs;
    this.#onError = onError;
  }

  /**
   * The library is there some time after the first call; and again after the first with another program: that may ask for
   * functions that the library has not, and would not load.
   */
  env(): Record<string, string> {
    if (this.#state() !== this.#madeFor) {
      this.#madeFor = this.#state();
      this.#env = { PATH };
      setTimeout(() => void this.prepare().catch(this.#onError), DELAY_MS).unref();
    }
    return this.#env;
  }

  /**
   * Puts the library in its place; `env` tells of it only when the programs run with it. Throws failed_precondition when
   * they do not; nothing is done for programs that ask for none of it.
   */
  async prepare(): Promise<void> {
    const state = this.#state();
    this.#madeFor = state;
    // The loader would take it for several, or for a name of its own (ld.so(8)).
    if (/[:;$]/.test(this.#directory)) {
      throw new NaruError("failed_precondition", `"${this.#directory}" is no name for ld.so(8)`);
    }
    const files = await Promise.all(this.#programs.map((program) => readFile(program)));
    const symbols = files.flatMap((bytes) => importsOf(bytes).get(LIBRARY) ?? []);
    if (symbols.length === 0) return;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const path = `${this.#directory}/${LIBRARY}`;
    // Under its name when it is whole: a program of a daemon before may be loading it.
    await writeFile(`${path}.next`, standInLibrary(LIBRARY, symbols), { mode: 0o500 });
    await rename(`${path}.next`, path);
    const env = { PATH, LD_LIBRARY_PATH: this.#directory };
    const trials = await Promise.all(this.#programs.map((program) => loads(program, env)));
    if (!trials.every(Boolean)) {
      throw new NaruError("failed_precondition", `they do not run without ${LIBRARY}`);
    }
    if (this.#state() === state) this.#env = env;
  }

  #state(): string {
    return this.#programs.map(stateOf).join("\n");
  }
}

/** For runtimes whose libraries are not known: nothing stands in for any. */
export const WHOLE_LIBRARIES: Libraries = { env: () => ({ PATH }) };
