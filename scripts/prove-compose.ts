/**
 * Runs every case of the compose corpus through the reference tool and compares: the same
 * text, or an error from both. `bun scripts/prove-compose.ts [--tool PATH] [WORD…]`; cases that say why they
 * differ are counted apart. Needs docker compose 2 (bench/README.md says where from).
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import type { Case } from "../src/spec/compose/corpus.fake.ts";
import { PROJECT_FOLDER, readCorpus } from "../src/spec/compose/corpus.fake.ts";

const argv = process.argv.slice(2);
const at = argv.indexOf("--tool");
const tool =
  at >= 0
    ? argv.splice(at, 2)[1]
    : [
        "/var/tmp/naru-peers/compose/usr/libexec/docker/cli-plugins/docker-compose",
        "/usr/libexec/docker/cli-plugins/docker-compose",
      ].find((path) => existsSync(path));
if (tool === undefined) {
  console.error("docker compose is missing: name it with --tool");
  process.exit(1);
}

const SUBCOMMAND_WORDS = new Set(["--no-interpolate"]);

const runTool = async (given: Case): Promise<{ code: number; out: string; err: string }> => {
  const root = mkdtempSync("/tmp/prove-compose-");
  const folder = `${root}${PROJECT_FOLDER}`;
  try {
    mkdirSync(folder);
    for (const [name, text] of Object.entries(given.files)) {
      mkdirSync(dirname(`${folder}/${name}`), { recursive: true });
      writeFileSync(`${folder}/${name}`, text);
    }
    const before: string[] = [];
    const after: string[] = [];
    for (let index = 0; index < given.args.length; index += 1) {
      const word = given.args[index] ?? "";
      if (word.startsWith("-") && !SUBCOMMAND_WORDS.has(word)) {
        before.push(word, given.args[index + 1] ?? "");
        index += 1;
      } else after.push(word);
    }
    const child = Bun.spawn([tool, ...before, "config", ...after], {
      cwd: folder,
      env: { PATH: "/usr/bin:/bin", HOME: "/home/user", ...given.environment },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, out: out.replaceAll(root, ""), err };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
};

const words = argv;
let same = 0;
let known = 0;
const wrong: string[] = [];
for (const given of readCorpus()) {
  const name = `${given.file}: ${given.title}`;
  if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
  // oxlint-disable-next-line no-await-in-loop -- one at a time: the machine is shared
  const theirs = await runTool(given);
  const isError = theirs.code !== 0;
  const ours = given.expected;
  const isSame = isError
    ? ours?.kind === "error"
    : ours?.kind === "config" && ours.text === theirs.out;
  if (isSame && given.differs !== undefined) {
    wrong.push(`${name}: says that it differs, but it is the same`);
  } else if (isSame) same += 1;
  else if (given.differs !== undefined) known += 1;
  else wrong.push(`${name}\n--- ours\n${ours?.text ?? ""}--- theirs\n${theirs.out}${theirs.err}`);
}
for (const text of wrong) console.log(`${text}\n`);
console.log(`${same} the same, ${known} differ knowingly, ${wrong.length} wrong`);
process.exit(wrong.length === 0 ? 0 : 1);
