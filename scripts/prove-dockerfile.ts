/**
 * Puts every Dockerfile of the corpus (src/spec/dockerfile/corpus) before a real Docker engine and
 * compares: taken or refused by both, the same warnings, the same image config.
 *
 *     bun scripts/prove-dockerfile.ts docker28 [WORD…]   BuildKit: checks, and builds where no step runs
 *     bun scripts/prove-dockerfile.ts docker20 [WORD…]   the classic builder: builds where no step runs
 *     bun scripts/prove-dockerfile.ts naru [WORD…]       dist/naru by the classic client: the same builds
 *     bun scripts/prove-dockerfile.ts write              the expected results anew, to be read
 *
 * WORDs choose cases by subject and name. Engines come from test/peer (bench/peers/bring.ts).
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

import {
  type CorpusCase,
  readCorpus,
  renderFile,
  resolveCase,
} from "../src/spec/dockerfile/corpus/corpus.suite.ts";
import type { RunConfig } from "../src/spec/dockerfile/plan.ts";
import type { StartedEngine } from "../test/harness/engine.ts";
import { startNaru } from "../test/harness/naru.ts";
import { SID_ROOT, startDocker20, startDocker28 } from "../test/peer/docker.ts";

const PLUGIN = "usr/libexec/docker/cli-plugins/docker-buildx";
const BUILDX = [`${SID_ROOT}/${PLUGIN}`, `${dirname(SID_ROOT)}/compose/${PLUGIN}`, `/${PLUGIN}`];

const CORPUS = new URL("../src/spec/dockerfile/corpus/", import.meta.url).pathname;
const [mode = "", ...words] = process.argv.slice(2);
const cases = readCorpus();

if (mode === "write") {
  for (const file of readdirSync(CORPUS).filter((name) => name.endsWith(".txt"))) {
    writeFileSync(CORPUS + file, renderFile(file.replace(".txt", ""), cases));
  }
  process.exit(0);
}
if (mode !== "docker28" && mode !== "docker20" && mode !== "naru") {
  console.error("name an engine: docker28, docker20 or naru; or write");
  process.exit(1);
}

interface Output {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const start = { docker28: startDocker28, docker20: startDocker20, naru: startNaru }[mode];
const engine: StartedEngine = await start();
const home = mkdtempSync("/tmp/prove-dockerfile-");

const docker = async (args: readonly string[], stdin = ""): Promise<Output> => {
  const child = Bun.spawn(["docker", ...args], {
    cwd: home,
    env: {
      PATH: process.env["PATH"],
      HOME: home,
      DOCKER_CONFIG: `${home}/.docker`,
      DOCKER_HOST: engine.host,
      DOCKER_BUILDKIT: mode === "docker28" ? "1" : "0",
    },
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  return { code, out, err };
};

/** An image with the corpus' base config, and what the case adds to it. */
const importBase = async (
  item: CorpusCase | undefined,
  names: readonly string[],
): Promise<void> => {
  const changes = [
    "ENV PATH=/bin",
    'CMD ["sh"]',
    ...(item?.options["base"] ?? []).map((pair) => `ENV ${pair}`),
    ...(item?.options["onbuild"] ?? []).map((trigger) => `ONBUILD ${trigger}`),
  ];
  const emptyTar = "\0".repeat(1024);
  const flags = changes.flatMap((change) => ["--change", change]);
  const [first = "debian:latest", ...others] = names;
  const made = await docker(["import", ...flags, "-", first], emptyTar);
  if (made.code !== 0) throw new Error(`import: ${made.err}`);
  for (const name of others) await docker(["tag", first, name]);
};

/** Digests and registries cannot be had offline. */
const isLocal = (reference: string): boolean =>
  !reference.includes("@") && !reference.includes("localhost");

const imagesOf = (item: CorpusCase): readonly string[] => {
  const resolved = resolveCase(item);
  return resolved === undefined ? [] : [...resolved.images];
};

const OWN = new Set(["base", "onbuild", "context"]);
const everyImage = [...new Set(cases.flatMap(imagesOf))].filter(isLocal);

const WARNING = /^\d+ [A-Z][A-Za-z]+: /;

const expectedWarnings = (item: CorpusCase): readonly string[] =>
  item.golden
    .split("\n")
    .filter((line) => WARNING.test(line))
    .toSorted();

interface CheckJson {
  readonly warnings?: readonly {
    readonly ruleName: string;
    readonly detail: string;
    readonly location?: {
      readonly ranges?: readonly { readonly start: { readonly line: number } }[];
    };
  }[];
  readonly buildError?: { readonly message: string };
}

const buildFlags = (item: CorpusCase): string[] => [
  ...(item.options["arg"] ?? []).flatMap((pair) => ["--build-arg", pair]),
  ...(item.options["target"] ?? []).flatMap((target) => ["--target", target]),
];

const writeContext = (item: CorpusCase): string => {
  const folder = mkdtempSync(`${home}/context-`);
  writeFileSync(`${folder}/Dockerfile`, item.text);
  const ignored = item.options["ignore"];
  if (ignored !== undefined) writeFileSync(`${folder}/.dockerignore`, ignored.join("\n"));
  return folder;
};

const differences: string[] = [];
const tally = { cases: 0, refused: 0, warnings: 0, configs: 0, known: 0, skipped: 0 };

const OLDER_FRONTEND = "28.5's own frontend is older";
const NEWER_CHECK = "28.5 has an older form of this check";
const NO_CHECKS = "the classic builder has no checks";
const EARLY = "here a trigger is judged where it is written";

/** Where an engine's language is older, or this one differs on purpose. */
const KNOWN: Readonly<Record<typeof mode, Readonly<Record<string, string>>>> = {
  docker28: {
    "add: ignored": NEWER_CHECK,
    "checks: CopyIgnoredFile": NEWER_CHECK,
    "checks: SecretsUsedInArgOrEnv": NEWER_CHECK,
    "checks: skipped for one instruction": NEWER_CHECK,
    "checks: skipped for one instruction, all": NEWER_CHECK,
    "copy: all ignored": NEWER_CHECK,
    "copy: ignored": NEWER_CHECK,
    "copy: parents": OLDER_FRONTEND,
    "copy: parents with a pivot": OLDER_FRONTEND,
    "directives: escape after syntax": "it wants the frontend from a registry",
    "from: a stage by name in another case": "the classic builder takes it",
    "onbuild: unknown": EARLY,
    "onbuild: wrong arguments": EARLY,
    "real: node": "it wants the frontend from a registry",
    "run: device": OLDER_FRONTEND,
    "run: exec form empty": "it refuses that only when it builds",
    "run: insecure": OLDER_FRONTEND,
    "stages: a target by number": "the classic builder takes it",
  },
  docker20: {
    "checks: DuplicateStageName": "BuildKit warns only",
    "checks: RedundantTargetPlatform": "it has no automatic ARGs",
    "directives: check makes warnings errors": NO_CHECKS,
    "directives: check with a wrong boolean": NO_CHECKS,
    "directives: check with an unknown option": NO_CHECKS,
    "directives: check without an option": NO_CHECKS,
    "from: platform of the target": "it has no automatic ARGs",
    "healthcheck: all flags": "it has no --start-interval",
    "healthcheck: interval of nothing": "BuildKit takes it as the default",
    "heredoc: ONBUILD RUN": "it has no here-documents",
    "metadata: WORKDIR unset variable": "BuildKit stays where it is",
    "onbuild: unknown": EARLY,
    "onbuild: wrong arguments": EARLY,
    "program: CMD nothing": "BuildKit gives the shell an empty line",
  },
  naru: {
    "checks: UndefinedArgInFrom": "a stage that nothing needs is not looked up",
    "directives: check makes warnings errors": NO_CHECKS,
    "directives: check with a wrong boolean": NO_CHECKS,
    "directives: check with an unknown option": NO_CHECKS,
    "directives: check without an option": NO_CHECKS,
  },
};

/** Words of an engine that does not know the newer language. */
const OLDER_WORDS = /missing ':' in substitution/;

const differs = (item: CorpusCase, what: string): void => {
  const name = `${item.subject}: ${item.name}`;
  if (KNOWN[mode][name] !== undefined || OLDER_WORDS.test(what)) tally.known += 1;
  else differences.push(`${name}\n    ${what}`);
};

const isRefusedHere = (item: CorpusCase): boolean =>
  item.golden.startsWith("error") || item.golden.includes("\nviolated: ");

/** BuildKit's own checks. */
const check = async (item: CorpusCase, folder: string): Promise<boolean> => {
  const args = ["build", "--call=check,format=json", ...buildFlags(item), folder];
  const { out, err, code } = await docker(args);
  const parsed = (out.startsWith("{") ? JSON.parse(out) : undefined) as CheckJson | undefined;
  const reason = parsed?.buildError?.message ?? (parsed === undefined && code !== 0 ? err : "");
  if ((reason !== "") !== isRefusedHere(item)) {
    const ours = item.golden.split("\n")[0] ?? "";
    differs(item, `${mode}: ${reason.trim().slice(-300) || "taken"} | here: ${ours}`);
    return false;
  }
  if (reason !== "") {
    tally.refused += 1;
    return false;
  }
  const theirs = (parsed?.warnings ?? [])
    .map((w) => `${w.location?.ranges?.[0]?.start.line ?? 0} ${w.ruleName}: ${w.detail}`)
    .toSorted();
  const ours = expectedWarnings(item);
  tally.warnings += ours.length;
  if (JSON.stringify(theirs) !== JSON.stringify(ours)) {
    differs(item, `${mode}: ${JSON.stringify(theirs)} | here: ${JSON.stringify(ours)}`);
  }
  return true;
};

/** Only what instructions set, and only where it says something. */
const normalized = (config: RunConfig): string => {
  const names = (
    "Env Cmd Entrypoint ExposedPorts Healthcheck Labels OnBuild Shell StopSignal User Volumes " +
    "WorkingDir"
  ).split(" ");
  const isEmpty = (value: unknown): boolean =>
    value === undefined || value === null || value === "" || Object.keys(value).length === 0;
  const fields = names
    .map((name) => [name, (config as Record<string, unknown>)[name]] as const)
    .filter(([, value]) => !isEmpty(value));
  const sorted = (value: unknown): unknown =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return JSON.stringify(fields.map(([name, value]) => [name, sorted(value)]));
};

const build = async (item: CorpusCase, folder: string): Promise<void> => {
  const expected = resolveCase(item)?.config;
  const tag = `proof-${tally.cases}`;
  const { code, err, out } = await docker(["build", "-t", tag, ...buildFlags(item), folder]);
  if ((code !== 0) !== isRefusedHere(item)) {
    const ours = item.golden.split("\n")[0] ?? "";
    differs(
      item,
      `${mode}: ${code === 0 ? "taken" : (err + out).trim().slice(-300)} | here: ${ours}`,
    );
    return;
  }
  if (code !== 0 || expected === undefined) {
    tally.refused += 1;
    return;
  }
  const image = await docker(["image", "inspect", tag]);
  const [found] = JSON.parse(image.out) as { Config: RunConfig }[];
  tally.configs += 1;
  const [theirs, ours] = [normalized(found?.Config ?? {}), normalized(expected)];
  if (theirs !== ours) differs(item, `${mode}: ${theirs} | here: ${ours}`);
  await docker(["rmi", "-f", tag]);
};

const prove = async (item: CorpusCase): Promise<void> => {
  const text = `${item.subject}: ${item.name}`;
  if (!words.every((word) => text.includes(word))) return;
  const hasOwn = Object.keys(item.options).some((key) => OWN.has(key));
  const images = imagesOf(item);
  const isForeign = item.golden.includes("linux/arm");
  if (item.options["context"] !== undefined || isForeign || !images.every(isLocal)) {
    tally.skipped += 1;
    return;
  }
  tally.cases += 1;
  const folder = writeContext(item);
  if (hasOwn) await importBase(item, ["debian:latest"]);
  const isChecked = mode === "docker28" ? await check(item, folder) : true;
  // Nothing can run in these images. What is refused here, the classic builder is asked about too.
  const resolved = resolveCase(item);
  if (isChecked && resolved?.hasFiles !== true) await build(item, folder);
  if (hasOwn) await importBase(undefined, ["debian:latest"]);
  rmSync(folder, { recursive: true });
};

try {
  if (mode === "docker28") {
    const plugins = `${home}/.docker/cli-plugins`;
    const buildx = BUILDX.find((path) => existsSync(path));
    if (buildx === undefined) throw new Error(`docker-buildx is missing: ${BUILDX.join(" or ")}`);
    mkdirSync(plugins, { recursive: true });
    copyFileSync(buildx, `${plugins}/docker-buildx`);
    chmodSync(`${plugins}/docker-buildx`, 0o755);
  }
  await importBase(undefined, ["debian:latest", ...everyImage]);
  for (const item of cases) await prove(item);
  for (const line of differences) console.log(line);
  console.log(JSON.stringify({ ...tally, differences: differences.length }));
} finally {
  await engine.stop();
  rmSync(home, { recursive: true, force: true });
}
