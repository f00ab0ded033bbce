/**
 * The benchmarks: `npm run bench [-- --only run,exec] [--quick] [--gate] [--subjects naru,docker28]`.
 *
 * naru, the best Docker on the machine and the floors do the same work in turn; what counts are
 * the ratios of the medians. Prints a table and writes the same as JSON. `--gate` exits with 1
 * when a goal is missed (a missed row is measured a second time first).
 */
import { mkdirSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";

import { judge, median, peerOf, type Measure, type Verdict } from "./figures.ts";
import { GOALS } from "./goals.ts";
import { buildRow } from "./rows/build.ts";
import { composeRow } from "./rows/compose.ts";
import { imageRow, pathRow, portsRow, stdoutRow } from "./rows/data.ts";
import { apiRow, cliRow, densityRow, idleRow, scaleRow } from "./rows/engine.ts";
import { registryRow } from "./rows/registry.ts";
import { networksRow } from "./rows/networks.ts";
import { streamRow } from "./rows/stream.ts";
import { transferRow } from "./rows/transfer.ts";
import { endRow, execRow, parallelRow, runRow, type RowOptions } from "./rows/start.ts";
import { dockerClient, startSubjects, STARTERS } from "./subjects.ts";

const ROWS: Record<string, (options: RowOptions) => Promise<Measure[]>> = {
  run: runRow,
  parallel: parallelRow,
  exec: execRow,
  end: endRow,
  density: densityRow,
  scale: scaleRow,
  api: apiRow,
  idle: idleRow,
  image: imageRow,
  path: pathRow,
  ports: portsRow,
  networks: networksRow,
  compose: composeRow,
  stream: streamRow,
  stdout: stdoutRow,
  cli: cliRow,
  registry: registryRow,
  transfer: transferRow,
  build: buildRow,
};

const flag = (name: string): boolean => process.argv.includes(`--${name}`);
const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

const number = (value: number): string => {
  if (Number.isNaN(value)) return "-";
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
};

const goalText = ({ goal }: Verdict): string =>
  `${goal.atMost === undefined ? `≥${goal.atLeast}` : `≤${goal.atMost}`} ${goal.over}${goal.of === undefined ? "" : `, ${goal.of}`}`;

interface RowResult {
  readonly measure: Measure;
  readonly verdicts: readonly Verdict[];
}

const judgeAll = (measure: Measure): RowResult => ({
  measure,
  verdicts: GOALS.filter((goal) => goal.id === measure.id).map((goal) => judge(measure, goal)),
});

const isMissed = (result: RowResult): boolean => result.verdicts.some((v) => v.isMet === false);

const print = ({ measure, verdicts }: RowResult): void => {
  const figures = Object.entries(measure.samples)
    .map(([name, values]) => `${name} ${number(median(values))}`)
    .join("  ");
  console.log(
    `${measure.title} [${measure.unit}]\n    ${figures}${measure.note ? `  (${measure.note})` : ""}`,
  );
  for (const verdict of verdicts) {
    if (verdict.value === undefined) {
      console.log(`    – ${goalText(verdict)}: not measured`);
      continue;
    }
    const peer = verdict.goal.over === "peer" ? ` (${peerOf(measure)})` : "";
    console.log(
      `    ${verdict.isMet ? "✓" : "✗"} ${number(verdict.value)} ${goalText(verdict)}${peer}`,
    );
  }
};

const only = option("only")?.split(",") ?? Object.keys(ROWS);
const unknown = only.filter((name) => !(name in ROWS));
if (unknown.length > 0) {
  console.error(`no row "${unknown.join(", ")}": ${Object.keys(ROWS).join(", ")}`);
  process.exit(2);
}

const best = STARTERS["docker28"]?.isThere() ? "docker28" : "docker20";
const wanted = option("subjects")?.split(",") ?? ["naru", best];
const subjects = await startSubjects(wanted);
const versionOf = new Map<string, string>();
for (const subject of subjects) {
  const body = JSON.parse((await subject.ok("GET", "/version")).toString()) as { Version: string };
  versionOf.set(subject.name, body.Version);
}
const options: RowOptions = { subjects, isQuick: flag("quick") };
const results: RowResult[] = [];
const broken: string[] = [];
let left: readonly string[] = [];

const measureRow = async (name: string): Promise<RowResult[]> => {
  const measures = (await ROWS[name]?.(options)) ?? [];
  return measures.map(judgeAll);
};

/** Told to end: the engines end too. */
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    void Promise.all(subjects.map((subject) => subject.engine.stop())).then(() =>
      process.exit(130),
    );
  });
}

try {
  for (const name of only) {
    try {
      let row = await measureRow(name);
      if (flag("gate") && row.some(isMissed)) row = await measureRow(name);
      for (const result of row) print(result);
      results.push(...row);
    } catch (error) {
      // One row that cannot be measured must not cost the others.
      broken.push(name);
      console.error(`row "${name}" broke: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
} finally {
  for (const subject of subjects) left = [...left, ...(await subject.engine.stop())];
}

const versions: Record<string, string> = {};
for (const subject of subjects) versions[subject.name] = versionOf.get(subject.name) ?? "";
versions["client"] = Bun.spawnSync([dockerClient(), "--version"]).stdout.toString().trim();
mkdirSync(`${import.meta.dir}/results`, { recursive: true });
const file = `${import.meta.dir}/results/${new Date().toISOString().replaceAll(":", "-")}.json`;
await Bun.write(
  file,
  JSON.stringify(
    {
      at: new Date().toISOString(),
      machine: { cpus: cpus().length, model: cpus()[0]?.model, kernel: release(), load: loadavg() },
      versions,
      subjects: subjects.map((subject) => subject.name),
      isQuick: options.isQuick,
      broken,
      left,
      rows: results.map(({ measure, verdicts }) => ({
        ...measure,
        medians: Object.fromEntries(
          Object.entries(measure.samples).map(([name, values]) => [name, median(values)]),
        ),
        verdicts,
      })),
    },
    undefined,
    1,
  ),
);
const missed = results.filter(isMissed).map((result) => result.measure.id);
console.log(
  `\n${results.length} figures, ${missed.length} missed${missed.length > 0 ? `: ${missed.join(", ")}` : ""}`,
);
if (left.length > 0) console.log(`left over: ${left.join("; ")}`);
console.log(file);
process.exit(flag("gate") && (missed.length > 0 || broken.length > 0 || left.length > 0) ? 1 : 0);
