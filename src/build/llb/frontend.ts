/**
 * A frontend out of an image: its program runs as a step would, on a copy of its root that nobody keeps, and speaks the
 * gateway's protocol on its standard input and output. It sees the options it is given, and asks for all else.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { FrontendRun } from "#build/llb/llb.ts";
import { type ExecRequest, ExitError, runStepProcess } from "#build/op/exec.ts";
import type { CacheMounts } from "#build/op/cache-mounts.ts";
import type { StepMount } from "#build/op/run-mounts.ts";
import { contextTree } from "#build/trees.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";

/** Where a frontend finds the definition that it was itself made of. */
const METADATA_PATH = "/run/config/buildkit/metadata";
const DEFINITION_FILE = "frontend.bin";
const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LAST_WORDS_BYTES = 4096;

const requestOf = (
  run: FrontendRun,
  metadata: StepMount,
  cacheMounts: CacheMounts,
): ExecRequest => {
  const { config } = run;
  const env = [...(config.Env ?? []), ...run.env];
  return {
    args: config.Entrypoint ?? ["/run"],
    env: env.some((entry) => entry.startsWith("PATH=")) ? env : [DEFAULT_PATH, ...env],
    ambientEnv: [],
    workingDir: config.WorkingDir || "/",
    user: config.User ?? "",
    network: run.hasNetwork ? "default" : "none",
    extraHosts: [],
    hostConfig: {},
    script: undefined,
    mounts: [metadata],
    mountSources: { cacheMounts, secrets: () => Promise.resolve(undefined), sshSockets: new Map() },
    inputs: {},
    parent: undefined,
    description: run.name,
    onConnected: run.onConnected,
  };
};

/** Throws failed_precondition with its last words where it ends in failure. Leaves nothing. */
export const runFrontend = async (
  dependencies: BuildDependencies,
  cacheMounts: CacheMounts,
  run: FrontendRun,
): Promise<void> => {
  const { snapshots, paths } = dependencies;
  const id = randomHex(32);
  using undo = new DisposableStack();
  const directory = `${paths.work}/frontend-${id}`;
  mkdirSync(directory, { mode: 0o700 });
  undo.defer(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(`${directory}/${DEFINITION_FILE}`, run.definition, { mode: 0o400 });
  snapshots.prepare(id, run.chainId);
  undo.defer(() => snapshots.remove(id));
  const tree = contextTree({ root: directory, digests: new Map(), hint: "" }, run.name);
  const metadata: StepMount = {
    mount: {
      type: "bind",
      from: { kind: "scratch" },
      source: "",
      target: METADATA_PATH,
      isReadonly: true,
    },
    tree,
  };
  let words = Buffer.alloc(0);
  const hear = (bytes: Uint8Array): void => {
    words = Buffer.concat([words, bytes]).subarray(-LAST_WORDS_BYTES);
  };
  try {
    await runStepProcess(
      dependencies,
      requestOf(run, metadata, cacheMounts),
      snapshots.mount(id, true),
      { id, signal: run.signal, output: (_stream, bytes) => hear(bytes) },
    );
  } catch (error) {
    if (run.signal.aborted) throw error;
    if (!(error instanceof ExitError)) {
      const reason = `the frontend "${run.name}" did not start: ${toNaruError(error).message}`;
      throw new NaruError("failed_precondition", reason, { cause: error });
    }
    const said = words.toString("utf8").trim();
    const reason = said === "" ? "it said nothing" : said;
    const message = `the frontend "${run.name}" ended with code ${error.exitCode}: ${reason}`;
    throw new NaruError("failed_precondition", message, { cause: error });
  }
};
