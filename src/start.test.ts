/**
 * What must be quick to begin loads little. The runtime parses its own modules anew in each process: node:net takes
 * seven milliseconds, node:crypto and node:stream six, node:fs one; that is half of what a whole command may take.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";

const SRC = new URL(".", import.meta.url).pathname;
const transpiler = new Bun.Transpiler({ loader: "ts" });

/** The runtime's modules that are loaded together with these files, before anything of them runs. */
const builtinsOf = (...entries: readonly string[]): string[] => {
  const seen = new Set<string>();
  const found = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    // Types alone are gone by then.
    for (const { kind, path: target } of transpiler.scanImports(readFileSync(SRC + path, "utf8"))) {
      if (kind !== "import-statement") continue;
      if (target.startsWith("#")) visit(target.slice(1));
      else if (/^(?:node|bun):/.test(target)) found.add(target);
    }
  };
  for (const entry of entries) visit(entry);
  return [...found].toSorted();
};

test("a command loads none of the runtime's modules before it knows that it needs them", () => {
  const commands = [
    "cli/container/run.ts",
    "cli/container/exec.ts",
    "cli/container/ls.ts",
    "cli/system/version.ts",
    "cli/compose/compose.ts",
  ];
  for (const command of commands) {
    expect([command, builtinsOf("main.ts", "cli/main.ts", command)]).toEqual([command, []]);
  }
});

test("one that looks at files has system calls for it: they are opened in a tenth of the time of node:fs", () => {
  for (const command of ["cli/build/build.ts", "cli/compose/up.ts", "cli/compose/ps.ts"]) {
    const loaded = builtinsOf("main.ts", "cli/main.ts", command);
    expect([command, loaded]).toEqual([command, ["bun:ffi"]]);
  }
});

test("the engine has few of them when it gives its first answer", () => {
  expect(builtinsOf("main.ts", "daemon/daemon.ts")).toEqual([
    "bun:ffi",
    "node:fs",
    "node:os",
    "node:path",
    "node:util",
  ]);
});

test("and none that streams need when it is ready", () => {
  const slow = ["node:net", "node:tls", "node:stream", "node:zlib", "node:crypto", "node:http"];
  const loaded = builtinsOf("main.ts", "daemon/daemon.ts", "daemon/bring-up.ts");
  expect(loaded.filter((name) => slow.some((one) => name.startsWith(one)))).toEqual([]);
});
