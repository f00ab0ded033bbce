/**
 * testcontainers' reaper as a program: `NARU_RYUK_BINARY` (static, for this machine), else built by
 * `go install` at a pinned version, where there is a Go toolchain and a way to the module.
 */
import { existsSync } from "node:fs";

import { run } from "./process.ts";

const MODULE = "github.com/testcontainers/moby-ryuk@0.14.0";

export type RyukProgram = { readonly path: string } | { readonly missing: string };

/** Builds into `folder`. `missing` says why there is none. */
export const ryukProgram = async (folder: string): Promise<RyukProgram> => {
  const given = process.env["NARU_RYUK_BINARY"];
  if (given !== undefined && given !== "") {
    if (!existsSync(given)) throw new Error(`NARU_RYUK_BINARY: there is no "${given}"`);
    return { path: given };
  }
  const go = Bun.which("go") ?? ["/usr/local/go/bin/go"].find((path) => existsSync(path));
  if (go === undefined) return { missing: "no NARU_RYUK_BINARY, and no Go toolchain to build it" };
  const env = { GOBIN: folder, CGO_ENABLED: "0" };
  // Where there is no way to the module this is told soon, and nothing is waited for.
  const known = await run([go, "list", "-m", MODULE], { cwd: folder, env, timeoutMs: 20_000 });
  const made =
    known.code === 0 ? await run([go, "install", MODULE], { env, timeoutMs: 240_000 }) : known;
  if (made.code === 0) return { path: `${folder}/moby-ryuk` };
  const [reason = ""] = made.stderr.trim().split("\n");
  return { missing: `no NARU_RYUK_BINARY, and go cannot bring it: ${reason}` };
};
