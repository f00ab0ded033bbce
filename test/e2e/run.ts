/**
 * The whole e2e suite on one engine: `bun test/e2e/run.ts [FILE…]`.
 *
 * Starts the engine (`E2E_ENGINE`) once, runs the files in two test processes beside each other
 * (`E2E_WORKERS`), stops it, looks at what was left over, and says it all in one closing line.
 */
import { readdirSync, rmSync, writeFileSync } from "node:fs";

import { startKeeper } from "../harness/keeper-client.ts";

const here = import.meta.dir;
const wanted = process.argv.slice(2);
/** The longest first, so that both workers end together. */
const SLOW = ["logs", "health", "ports", "security", "ps", "volumes", "mounts", "files", "exec"];

const files = readdirSync(here)
  .filter((file) => file.endsWith(".test.ts"))
  .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))
  .map((file) => ({ file, rank: SLOW.indexOf(file.replace(".test.ts", "")) }))
  .toSorted((a, b) => (a.rank < 0 ? 99 : a.rank) - (b.rank < 0 ? 99 : b.rank))
  .map(({ file }) => file);

const counts = { pass: 0, fail: 0, skip: 0 };
const failures: string[] = [];

const runFile = async (file: string, env: Record<string, string>): Promise<void> => {
  const begin = performance.now();
  const child = Bun.spawn(
    [process.execPath, "test", "--no-orphans", "--timeout", "300000", `${here}/${file}`],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...env },
    },
  );
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const text = out + err;
  const number = (word: string): number => {
    const line = text.split("\n").findLast((l) => new RegExp(`^ *\\d+ ${word}$`).test(l));
    return Number(line?.trim().split(" ")[0] ?? 0);
  };
  const [pass, fail, skip] = [number("pass"), number("fail"), number("skip")];
  counts.pass += pass;
  counts.fail += fail;
  counts.skip += skip;
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`${file.padEnd(26)} ${pass} pass, ${fail} fail, ${skip} skip, ${seconds} s`);
  for (const [line] of text.matchAll(/^skipped: .*$/gm)) console.log(`  ${line}`);
  if (code !== 0) {
    if (fail === 0) counts.fail += 1;
    failures.push(`── ${file} (exit ${code})\n${text.replaceAll(/^\(pass\).*\n/gm, "")}`);
  }
};

const given = process.env["NARU_E2E_HOST"];
const keeper = given === undefined ? await startKeeper() : undefined;
const env: Record<string, string> = {};
if (keeper !== undefined) {
  const facts = `/tmp/naru-e2e-facts-${process.pid}.json`;
  writeFileSync(facts, JSON.stringify(keeper.facts));
  Object.assign(env, { NARU_E2E_HOST: keeper.facts.host, E2E_FACTS: facts });
}
const began = performance.now();
try {
  const queue = [...files];
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      await runFile(file, env);
    }
  };
  const workers = Number(process.env["E2E_WORKERS"] ?? 2);
  await Promise.all(Array.from({ length: workers }, worker));
} finally {
  const left = (await keeper?.stop()) ?? [];
  rmSync(`/tmp/naru-e2e-facts-${process.pid}.json`, { force: true });
  for (const thing of left) console.log(`left over: ${thing}`);
  counts.fail += left.length > 0 ? 1 : 0;
}
for (const failure of failures) console.log(failure);
console.log(`${((performance.now() - began) / 1000).toFixed(0)} s`);
console.log(`${counts.pass} passed, ${counts.fail} failed, ${counts.skip} skipped`);
process.exit(counts.fail === 0 ? 0 : 1);
