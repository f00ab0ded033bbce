/**
 * `npm test`: everything. Static checks, all unit tests, the whole binary against real clients, and at
 * last a look at what was left on the host. Ends with one line: "N passed, N failed".
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";

const root = resolve(import.meta.dir, "..");

interface Counts {
  passed: number;
  failed: number;
}

interface Stage {
  readonly name: string;
  readonly command: readonly string[];
  /** Needs a toolchain or a package mirror that naru does not: only by its name, or with `--NAME`. */
  readonly isExtra?: boolean;
}

const bun = process.execPath;
/** A deadline for what hangs, not a measure: machines that build are busy ones. */
const tests = [bun, "test", "--timeout", "300000", "--only-failures"];

const STAGES: readonly Stage[] = [
  { name: "static checks", command: [bun, "scripts/check.ts", "--static"] },
  { name: "unit tests", command: [...tests, "./src"] },
  { name: "end to end, with the real docker client", command: [bun, "test/e2e/run.ts"] },
  { name: "the daemon", command: [...tests, "./test/daemon"] },
  { name: "the registry", command: [...tests, "./test/registry"] },
  {
    name: "conformance",
    command: [...tests, "./test/conformance"],
    isExtra: true,
  },
  {
    name: "applications",
    command: [bun, "test/applications/run.ts"],
    isExtra: true,
  },
  {
    name: "programs",
    command: [...tests, "./test/programs"],
    isExtra: true,
  },
  { name: "crashes", command: [...tests, "./test/crash"] },
];

const sum = (text: string, pattern: RegExp): number =>
  [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);

/** Both closing forms: bun's " 12 pass" lines, and "12 passed, 0 failed" of our own runners. */
const countsOf = (text: string, code: number): Counts => {
  const own = [...text.matchAll(/^(\d+) passed, (\d+) failed/gm)].at(-1);
  const passed = own === undefined ? sum(text, /^\s*(\d+) pass$/gm) : Number(own[1]);
  const failed = own === undefined ? sum(text, /^\s*(\d+) fail$/gm) : Number(own[2]);
  // A stage that ended badly without saying so has failed all the same; so has one that ran nothing.
  const isSilent = (code !== 0 && failed === 0) || passed + failed === 0;
  return { passed, failed: failed + (isSilent ? 1 : 0) };
};

const runStage = async (stage: Stage): Promise<Counts> => {
  console.log(`\n── ${stage.name}`);
  const began = performance.now();
  const child = Bun.spawn([...stage.command], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const counts = countsOf(`${out}\n${err}`, code);
  if (code !== 0 || counts.failed > 0) console.log(`${out}\n${err}`.trim());
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(
    `${stage.name}: ${counts.passed} of ${counts.passed + counts.failed} in ${seconds} s`,
  );
  return counts;
};

if (!existsSync(`${root}/dist/naru`)) {
  console.error("dist/naru is missing: run ./setup first");
  process.exit(1);
}
const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const isAsked = ({ name }: Stage): boolean => process.argv.includes(`--${name}`);
const total: Counts = { passed: 0, failed: 0 };
for (const stage of STAGES) {
  if (wanted.length === 0 && stage.isExtra === true && !isAsked(stage)) continue;
  if (wanted.length > 0 && !wanted.some((word) => stage.name.includes(word))) continue;
  // oxlint-disable-next-line no-await-in-loop -- two cores: one stage after the other
  const counts = await runStage(stage);
  total.passed += counts.passed;
  total.failed += counts.failed;
}
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed === 0 ? 0 : 1);
