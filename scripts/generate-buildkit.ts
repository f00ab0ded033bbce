/**
 * Writes src/spec/buildkit/*-pb.ts out of the .proto files beside them: `bun scripts/generate-buildkit.ts`.
 * The compiler and its plugin are fetched by npx, at the versions named here.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";

const PACKAGES = ["@bufbuild/buf@1.75.0", "@bufbuild/protoc-gen-es@2.13.0"];
const directory = resolve(import.meta.dir, "../src/spec/buildkit");
const out = mkdtempSync(`${tmpdir()}/naru-protocols-`);
const template = JSON.stringify({
  version: "v2",
  plugins: [{ local: "protoc-gen-es", out, opt: ["target=ts", "import_extension=none"] }],
});
try {
  const words = PACKAGES.flatMap((name) => ["--package", name]);
  const command = `buf generate --template '${template}' ${directory}`;
  const child = Bun.spawnSync(["npx", "--yes", ...words, "-c", command], {
    stdout: "inherit",
    stderr: "inherit",
  });
  if (!child.success) process.exit(1);
  for (const name of ["control", "gateway", "session"]) {
    // The list of all files' options is no use here, and its comments are the plugin's.
    const text = readFileSync(`${out}/${name}_pb.ts`, "utf8").replace(
      /^\/\* eslint-disable \*\/\n/m,
      "",
    );
    writeFileSync(`${directory}/${name}-pb.ts`, text);
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
