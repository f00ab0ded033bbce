/** `npm run check`: types, lint, format, dead code and unit tests, side by side; prints what fails. */

interface Check {
  readonly name: string;
  readonly command: string[];
}

const CHECKS: readonly Check[] = [
  { name: "types", command: ["tsc"] },
  { name: "lint", command: ["oxlint"] },
  { name: "format", command: ["oxfmt", "--check", "src", "scripts", "test", "bench"] },
  { name: "dead code", command: ["knip"] },
  { name: "unit tests", command: [process.execPath, "test", "./src"] },
];

const bin = `${import.meta.dir}/../node_modules/.bin`;

const run = async (check: Check): Promise<boolean> => {
  const began = performance.now();
  const child = Bun.spawn(check.command, {
    env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
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

const results = await Promise.all(CHECKS.map(run));
process.exit(results.every(Boolean) ? 0 : 1);
