/**
 * The house's walls: a room imports rooms of strictly lower rank only, always as `#room/file.ts`,
 * and the powers (FFI, SQLite, sockets, environment, console, clock) stay in the rooms named here.
 */
import { Glob } from "bun";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";

const RANKS: Record<string, number> = {
  lib: 0,
  spec: 1,
  kernel: 2,
  database: 2,
  companion: 3,
  content: 3,
  snapshot: 3,
  metadata: 3,
  remote: 3,
  trust: 3,
  image: 4,
  runtime: 4,
  door: 4,
  network: 4,
  volume: 4,
  log: 4,
  gc: 4,
  container: 5,
  build: 5,
  registry: 5,
  kubernetes: 6,
  api: 7,
  daemon: 8,
};

/** Rooms beside the ranks: what each may import. */
const BESIDE: Record<string, readonly string[]> = {
  client: ["lib", "spec"],
  compose: ["lib", "spec", "client"],
  cli: ["lib", "spec", "client", "compose"],
  web: ["lib", "spec", "client"],
};

/** Files of other rooms, for those beside: what every command does, and the runtime's own way takes too long for. */
const FILES_BESIDE: Record<string, readonly string[]> = {
  cli: ["#kernel/quick-files.ts"],
};

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const SRC = new URL(".", import.meta.url).pathname;

const files: SourceFile[] = [...new Glob("**/*.ts").scanSync(SRC)].toSorted().map((path) => {
  const text = readFileSync(SRC + path, "utf8");
  const imports = [...text.matchAll(/(?:from\s+|import\(\s*|import\s+)"([^"]+)"/g)].map(
    (match) => match[1] ?? "",
  );
  return { path, room: path.includes("/") ? (path.split("/")[0] ?? "") : "", text, imports };
});

const isTest = (path: string): boolean => /\.(test|suite|fake)\.ts$/.test(path);

test("every room has a rank or a list of what it may import", () => {
  const unknown = files.filter((f) => f.room !== "" && !(f.room in RANKS) && !(f.room in BESIDE));
  expect(unknown.map((f) => f.path)).toEqual([]);
});

test("imports go strictly down the ranks", () => {
  const wrong: string[] = [];
  for (const file of files) {
    if (file.room === "") continue;
    for (const target of file.imports) {
      if (!target.startsWith("#")) continue;
      const room = target.slice(1).split("/")[0] ?? "";
      if (room === file.room) continue;
      const allowed = BESIDE[file.room];
      const isDown =
        allowed === undefined
          ? (RANKS[room] ?? 99) < (RANKS[file.room] ?? -1)
          : allowed.includes(room) || FILES_BESIDE[file.room]?.includes(target) === true;
      if (!isDown) wrong.push(`${file.path} imports ${target}: declare an interface instead`);
    }
  }
  expect(wrong).toEqual([]);
});

test("imports inside src are written #room/file.ts", () => {
  const wrong = files.flatMap((file) =>
    file.imports
      .filter(
        (target) =>
          target.startsWith(".") || (target.startsWith("#") && !/\.(ts|json|sh)$/.test(target)),
      )
      .map((target) => `${file.path} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

const POWERS: readonly { pattern: RegExp; what: string; where: RegExp }[] = [
  { pattern: /from "bun:ffi"/, what: "bun:ffi", where: /^kernel\// },
  { pattern: /from "bun:sqlite"/, what: "bun:sqlite", where: /^database\// },
  {
    pattern: /\bprocess\.env\b/,
    what: "process.env",
    where: /^(cli\/|daemon\/config\.ts|daemon\/quiet-runtime\.ts|main\.ts)/,
  },
  { pattern: /\bconsole\./, what: "console", where: /^cli\// },
  {
    pattern: /\b(Date\.now\(|new Date\(\)|Math\.random\()/,
    what: "clock or chance",
    where: /^(lib\/clock\.ts|cli\/)/,
  },
  { pattern: /\.listen\(|Bun\.serve\(/, what: "a listening socket", where: /^daemon\// },
  {
    pattern: /\blistenUnixStream\(/,
    what: "a listening socket beside the runtime",
    where: /^daemon\//,
  },
];

for (const power of POWERS) {
  test(`${power.what} only in its room`, () => {
    const wrong = files
      .filter((f) => !isTest(f.path) && f.path !== "architecture.test.ts")
      .filter((f) => power.pattern.test(f.text) && !power.where.test(f.path));
    expect(wrong.map((f) => f.path)).toEqual([]);
  });
}
