/**
 * `npm run check`: types, lint, format, dead code and the quick unit tests, side by side; prints what
 * fails. Tests named `*.host.test.ts` act on the real kernel or take seconds: `npm test` has them.
 */
import { Glob } from "bun";
import { resolve } from "node:path";

interface Check {
  readonly name: string;
  readonly command: readonly string[];
}

const root = resolve(import.meta.dir, "..");

const quickTests = (): string[] =>
  [...new Glob("src/**/*.test.ts").scanSync(root)]
    .filter((path) => !path.endsWith(".host.test.ts"))
    .map((path) => `./${path}`);

const STATIC: readonly Check[] = [
  { name: "types", command: ["tsc"] },
  { name: "lint", command: ["oxlint", "--quiet"] },
  { name: "format", command: ["oxfmt", "--check", "src", "scripts", "test", "bench"] },
  { name: "dead code", command: ["knip", "--no-config-hints"] },
];

const run = async (check: Check): Promise<boolean> => {
  const began = performance.now();
  const child = Bun.spawn([...check.command], {
    cwd: root,
    env: { ...process.env, PATH: `${root}/node_modules/.bin:${process.env["PATH"]}` },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${code === 0 ? "ok  " : "FAIL"} ${check.name} (${seconds} s)`);
  if (code !== 0) console.log(`${out}\n${err}`.trim());
  return code === 0;
};

const checks = process.argv.includes("--static")
  ? STATIC
  : [
      ...STATIC,
      {
        name: "unit tests",
        command: [
          process.execPath,
          "test",
          "--preload",
          `${root}/scripts/unit-budget.ts`,
          // For what hangs; what works too long is told by its processor time.
          "--timeout",
          "120000",
          "--only-failures",
          ...quickTests(),
        ],
      },
    ];
const results = await Promise.all(checks.map(run));
console.log(
  `${results.filter(Boolean).length} passed, ${results.filter((ok) => !ok).length} failed`,
);
process.exit(results.every(Boolean) ? 0 : 1);
