/**
 * Writes src/spec/buildkit/*.gen.ts out of the .proto files beside them: `bun scripts/generate-buildkit.ts`.
 * The compiler and its plugin are fetched by npx, at the versions named here.
 */
import { Glob } from "bun";
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
  for (const proto of new Glob("*.proto").scanSync(directory)) {
    const name = proto.replace(/\.proto$/, "");
    const text = readFileSync(`${out}/${name}_pb.ts`, "utf8");
    writeFileSync(`${directory}/${name}.gen.ts`, text);
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
