/** Builds `dist/naru`: one executable, compiled to bytecode. `bun scripts/build.ts [outfile]`. */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import packageJson from "../package.json";

const root = resolve(import.meta.dir, "..");
const outfile = resolve(root, process.argv[2] ?? "dist/naru");
mkdirSync(dirname(outfile), { recursive: true });

const revision = Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], { cwd: root })
  .stdout.toString()
  .trim();
const temporary = `${outfile}.${process.pid}`;
const result = await Bun.build({
  entrypoints: [`${root}/src/main.ts`],
  compile: {
    outfile: temporary,
    autoloadDotenv: false,
    autoloadBunfig: false,
    // A command is over before compiled code pays back: it spent a third of its processor time on
    // compiling. What stays (daemon, registry, workers) sets the policy back to 1 itself.
    jitPolicy: 20,
  },
  target: "bun",
  bytecode: true,
  // Each command is a chunk of its own: a client loads neither the daemon nor the other commands.
  format: "esm",
  splitting: true,
  minify: true,
  sourcemap: "none",
  define: {
    NARU_BUILD_VERSION: JSON.stringify(packageJson.version),
    NARU_BUILD_REVISION: JSON.stringify(revision || "unknown"),
  },
});
if (!result.success) {
  for (const log of result.logs) console.error(log);
  rmSync(temporary, { force: true });
  process.exit(1);
}
// A running daemon keeps its old file: the new one takes the name.
renameSync(temporary, outfile);
console.log(`built ${outfile}`);
