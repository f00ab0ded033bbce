/** `naru build`: packs the context, shows what happens, writes what was asked for. */
import type { CheckRequest } from "#cli/build/check.ts";
import type { CliContext } from "#cli/context.ts";
import type { ContextTotals, PackedDirectory } from "#cli/build/context-tar.ts";
import { packContext } from "#cli/build/packed-context.ts";
import { cacheDirectories, cacheWriters, parseCache } from "#cli/build/caches.ts";
import { type Output, buildArguments, namedContexts, secrets } from "#cli/build/inputs.ts";
import { type LoadedContext, loadContext } from "#cli/build/local-context.ts";
import type { PieceWriters } from "#cli/build/piece-writers.ts";
import {
  type BuildProgress,
  JsonProgress,
  PlainProgress,
  QuietProgress,
} from "#cli/build/progress.ts";
import { type Given, flags } from "#cli/build/flags.ts";
import { headersOf, queryOf } from "#cli/build/request.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { metadataText } from "#cli/build/metadata.ts";
import { mayRefuse, printWarnings } from "#cli/build/warnings.ts";
import {
  type Wide,
  engineFeatures,
  outputsOf,
  platformsOf,
  requireFeature,
  wideOf,
} from "#cli/build/wide.ts";
import { exitError } from "#cli/framework/errors.ts";
import type { BuildMessage, BuildWarning } from "#client/build-events.ts";
import type { Client } from "#client/client.ts";
import { jsonLines } from "#client/progress.ts";
import { type ErrorCode, NaruError } from "#lib/errors.ts";

/** A header field takes no more. */
const IGNORE_MAX = 64 * 1024;

const PROGRESS = ["auto", "plain", "tty", "json", "quiet"] as const;

const progressOf = async ({ context, flags: given }: Given): Promise<BuildProgress> => {
  const { output } = context;
  const kind = given.quiet ? "quiet" : (given.progress ?? "auto");
  const known = PROGRESS.find((name) => name === kind);
  if (known === undefined) {
    throw new NaruError(
      "invalid_argument",
      `invalid progress "${kind}": use one of ${PROGRESS.join(", ")}`,
    );
  }
  if (known === "json") return new JsonProgress(output);
  if (known === "quiet") return new QuietProgress();
  const isTerminal = known === "tty" || (known === "auto" && (await output.isTerminal("stderr")));
  if (!isTerminal) return new PlainProgress(output, given.explain);
  const { TerminalProgress } = await import("#cli/build/terminal.ts");
  return new TerminalProgress(output, given.explain);
};

interface Finished {
  readonly imageId: string;
  readonly tags: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly warnings?: readonly BuildWarning[];
}

type BuildError = Extract<BuildMessage, { kind: "error" }>;

/** Points at the line of the Dockerfile, as a compiler would. */
const errorText = ({ message, step, details }: BuildError, dockerfile: LoadedContext): string => {
  const frame = details?.["frame"];
  if (typeof frame === "string") return `${message}\n\n${frame}`;
  if (step === undefined || step.line < 1) return message;
  const lines = dockerfile.dockerfile.toString("utf8").split("\n");
  const line = lines[step.line - 1] ?? step.text;
  return `${message}\n\n> ${step.line} | ${line}`;
};

interface Following {
  readonly progress: () => Promise<BuildProgress>;
  readonly loaded: LoadedContext;
  readonly onWanted: (wanted: readonly number[]) => void;
  readonly caches: PieceWriters;
  /** undefined: nothing comes back. */
  readonly outputs: PieceWriters | undefined;
}

const follow = async (
  body: AsyncIterable<Uint8Array>,
  { loaded, onWanted, caches, outputs, ...more }: Following,
): Promise<Finished> => {
  let progress = await more.progress();
  let finished: Finished | undefined;
  let failure: BuildError | undefined;
  try {
    for await (const message of jsonLines<BuildMessage>(body)) {
      if (message.kind === "wanted") {
        onWanted(message.wanted);
        continue;
      }
      if (message.kind === "cache-data") {
        await caches.take(message.position, message.data);
        continue;
      }
      if (message.kind === "output-data") {
        await outputs?.take(message.position, message.data);
        continue;
      }
      if (message.kind === "platform") {
        // Its steps have the numbers of the last one's.
        await progress.end();
        progress = await more.progress();
      }
      if (message.kind === "result") finished = message;
      if (message.kind === "error") {
        failure = message;
        onWanted([]);
      }
      await progress.take(message);
    }
  } finally {
    await progress.end();
  }
  if (failure !== undefined) {
    throw new NaruError(failure.code as ErrorCode, errorText(failure, loaded));
  }
  if (finished !== undefined) return finished;
  throw new NaruError("unavailable", "the engine ended the build without a result");
};

async function* after(
  first: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  yield first;
  yield* rest;
}

/** Tells of what was packed. */
async function* watched(
  pieces: AsyncIterable<Uint8Array>,
  totals: ContextTotals,
  progress: BuildProgress,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of pieces) {
    progress.sent(totals.files, totals.bytes);
    yield piece;
  }
}

const writersOf = async (
  context: CliContext,
  wide: Wide | undefined,
  outputs: readonly Output[],
): Promise<PieceWriters | undefined> => {
  if (wide === undefined) return undefined;
  const { outputWriters } = await import("#cli/build/output-writers.ts");
  return outputWriters(context, outputs);
};

interface Conclusion {
  readonly client: Client;
  readonly wide: Wide | undefined;
  readonly outputs: readonly Output[];
  readonly finished: Finished;
}

/** What was built goes where it was asked for. */
const conclude = async (
  { context, flags: values }: Given,
  { client, wide, outputs, finished }: Conclusion,
): Promise<void> => {
  if (values.iidfile !== undefined) await Bun.write(values.iidfile, finished.imageId);
  if (values["metadata-file"] !== undefined) {
    await Bun.write(values["metadata-file"], metadataText(finished));
  }
  if (wide === undefined && outputs.length > 0) {
    const { writeOutput } = await import("#cli/build/outputs.ts");
    for (const output of outputs) await writeOutput(context, client, output, finished);
  }
  if (values.quiet) context.output.line(finished.imageId);
  else if (values.progress !== "json") {
    const names = finished.tags.length === 0 ? finished.imageId : finished.tags.join(", ");
    if (!outputs.some(({ destination }) => destination === "-")) context.output.line(names);
  }
};

/** The one that is there first, then a new one each time. */
const progressesOf = (first: BuildProgress, given: Given): (() => Promise<BuildProgress>) => {
  let next: BuildProgress | undefined = first;
  return async () => {
    const shown = next ?? (await progressOf(given));
    next = undefined;
    return shown;
  };
};

const checkRequestOf = (
  { context, flags: values }: Given,
  named: ReturnType<typeof namedContexts>,
  platform: string | undefined,
): CheckRequest => ({
  target: values.target,
  platform,
  buildArgs: buildArguments(values["build-arg"], context.env),
  contexts: [...Object.keys(named.images), ...Object.keys(named.trees)],
});

/** Throws before any work. */
const checkBefore = async (context: CliContext, outputs: readonly Output[]): Promise<void> => {
  if (outputs.length === 0) return;
  const { checkOutputs } = await import("#cli/build/outputs.ts");
  await checkOutputs(context, outputs);
};

/** Where the engine told none: an older one, or it was not asked. */
const ownWarnings = async (
  loaded: LoadedContext,
  request: CheckRequest,
  client: Client,
): Promise<BuildWarning[]> => {
  const { briefly, checkBuild } = await import("#cli/build/check.ts");
  return ((await checkBuild(loaded, request, client))?.warnings ?? []).map(briefly);
};

const run = async (given: Given, signal?: AbortSignal): Promise<number> => {
  const { context, flags: values, args } = given;
  const outputs = outputsOf(values);
  const wide = wideOf(values, outputs);
  await checkBefore(context, outputs);
  const named = namedContexts(values["build-context"]);
  const loaded = await loadContext(args[0] ?? ".", values.file);
  const directories: PackedDirectory[] = [
    ...(loaded.directory === undefined ? [] : [loaded.directory]),
    ...Object.entries(named.trees).map(([name, root]) => ({
      root,
      prefix: `named/${name}/`,
      ignore: "",
    })),
    ...cacheDirectories(values["cache-from"].map(parseCache)),
  ];
  await using caches = cacheWriters(values["cache-to"].map(parseCache));
  const client = await context.client();
  const checkRequest = checkRequestOf(given, named, platformsOf(values.platform)[0]);
  if (values.check) {
    const { checkContext, printChecks } = await import("#cli/build/check.ts");
    return printChecks(loaded, await checkContext(loaded, checkRequest, client), context.output);
  }
  if (mayRefuse(loaded, checkRequest.buildArgs)) {
    const { checkBuild, refuseViolations } = await import("#cli/build/check.ts");
    refuseViolations(await checkBuild(loaded, checkRequest, client));
  }
  const features = engineFeatures(client);
  features.catch(() => undefined); // Awaited below.
  if (wide !== undefined) requireFeature(await features, "outputs", "an output of this kind");
  const progress = await progressOf(given);
  const totals: ContextTotals = { files: 0, bytes: 0 };
  const tellsWarnings = !values.quiet && values.progress !== "json";
  const ignore = loaded.directory?.ignore ?? "";
  const checks = tellsWarnings && ignore.length <= IGNORE_MAX ? { ignore } : undefined;
  let finished: Finished;
  const hidden = Buffer.from(JSON.stringify(await secrets(values.secret, context.env)));
  try {
    const knowsFacts = async (): Promise<boolean> => (await features).includes("facts");
    const packed = await packContext(loaded.dockerfile, directories, totals, knowsFacts);
    await using writers = await writersOf(context, wide, outputs);
    const response = await client.call("naruBuild", {
      query: queryOf(given, outputs),
      signal,
      headers: {
        ...(await headersOf(given, named, { wide, checks }, hidden.length)),
        ...packed.headers,
      },
      body: watched(after(hidden, packed.body), totals, progress),
    });
    finished = await follow(response.body, {
      progress: progressesOf(progress, given),
      loaded,
      onWanted: packed.onWanted,
      caches,
      outputs: writers,
    });
  } catch (error) {
    await progress.end();
    throw error;
  }
  if (tellsWarnings) {
    const warnings = finished.warnings ?? (await ownWarnings(loaded, checkRequest, client));
    printWarnings(warnings, context.output);
  }
  await conclude(given, { client, wide, outputs, finished });
  return 0;
};

const runWatched = async (given: Given): Promise<number> => {
  const { context, flags: values, args } = given;
  const [path = "."] = args;
  if (path === "-" || values.file === "-" || values.check) {
    throw new NaruError("invalid_argument", "--watch needs a directory and a Dockerfile, to watch");
  }
  const { contextTest, untilInterrupted, watchBuild } = await import("#cli/build/watch.ts");
  const { resolve } = await import("node:path");
  const dockerfile = values.file ?? `${path}/Dockerfile`;
  const named = Object.values(namedContexts(values["build-context"]).trees);
  const destinations = outputsOf(values).map(({ destination }) => destination ?? "");
  await untilInterrupted((signal) =>
    watchBuild({
      context,
      signal,
      trees: async () => {
        const loaded = await loadContext(path, values.file);
        const matters = contextTest(
          loaded.dockerfile.toString("utf8"),
          loaded.directory?.ignore ?? "",
        );
        return [{ root: path, matters }, ...named.map((root) => ({ root, matters: () => true }))];
      },
      files: [dockerfile, `${dockerfile}.dockerignore`, `${path}/.dockerignore`],
      outputs: [...destinations, values.iidfile ?? ""]
        .filter((output) => output !== "" && output !== "-")
        .map((output) => resolve(output)),
      build: async (one) => {
        await run(given, one);
        await context.output.flush();
      },
    }),
  );
  return 0;
};

export const command = defineCommand({
  usage: "[OPTIONS] PATH | -",
  flags,
  args: ONE,
  completes: "files",
  examples: [
    "naru build -t app .",
    "naru build --explain --secret id=token,src=token.txt .",
    "naru build --check .",
    "naru build --watch -t app .",
  ],
  run: async (given) => {
    try {
      return await (given.flags.watch ? runWatched(given) : run(given));
    } catch (error) {
      if (error instanceof NaruError && error.code === "failed_precondition") {
        throw exitError(1, error.message);
      }
      throw error;
    }
  },
});
