/** Frontends that are programs of images: `# syntax=`, BUILDKIT_SYNTAX, what they may, and how they fail. */
import { expect } from "bun:test";

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

import { write } from "../harness/build.ts";
import { buildx, buildxCheck, good, imageName } from "../harness/buildx.ts";
import { type Check, dockerOk, until } from "../harness/check.ts";
import { loadFrontend } from "../harness/frontend.ts";

let loading: Promise<string> | undefined;

/** One image for all checks of this file; it goes with the engine. */
const frontend = async (): Promise<string> => {
  const make = async (): Promise<string> => {
    const name = `e2e/frontend-${process.pid}:1`;
    const folder = mkdtempSync(`${tmpdir()}/naru-frontend-`);
    try {
      await loadFrontend(name, folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return name;
  };
  loading ??= make();
  return await loading;
};

/** The first check makes the image of 120 MB, the others wait for it. */
const frontendCheck = (title: string, body: (t: Check) => Promise<void>): void =>
  buildxCheck(title, body, { timeoutMs: 240_000 });

const build = async (t: Check, lines: readonly string[], ...args: string[]) => {
  const folder = write(t.folder(), { Dockerfile: `${lines.join("\n")}\n` });
  return await buildx("build", "--progress", "plain", ...args, folder);
};

frontendCheck("the image that # syntax names makes sense of the text", async (t) => {
  const name = imageName(t);
  const lines = [
    `# syntax=${await frontend()}`,
    "run echo by a step > /made",
    "file /own by the frontend",
    "arg who /arg",
    "warn mind the gap",
  ];
  const said = good(await build(t, lines, "--build-arg", "who=me", "-t", name));
  expect(said).toContain("mind the gap");
  const shown = await dockerOk(
    "run",
    "--rm",
    name,
    "sh",
    "-c",
    'cat /made /own /arg; echo "$MADE_BY"',
  );
  expect(shown).toBe("by a step\nby the frontendmea frontend");
  const again = good(await build(t, lines, "--build-arg", "who=me", "-t", name));
  expect(again).toMatch(/CACHED/);
});

frontendCheck(
  "BUILDKIT_SYNTAX names it from outside, any docker/dockerfile is built in",
  async (t) => {
    const name = imageName(t);
    const by = ["--build-arg", `BUILDKIT_SYNTAX=${await frontend()}`];
    good(await build(t, ["file /own outside"], ...by, "-t", name));
    expect(await dockerOk("run", "--rm", name, "cat", "/own")).toBe("outside");
    const own = ["--build-arg", "BUILDKIT_SYNTAX=docker/dockerfile:1.99-labs"];
    good(await build(t, ["FROM e2e/busybox", "RUN echo built in > /own"], ...own, "-t", name));
    expect(await dockerOk("run", "--rm", name, "cat", "/own")).toBe("built in");
  },
);

frontendCheck("a frontend gives what the built-in one made of another text", async (t) => {
  const name = imageName(t);
  const files = {
    Dockerfile: `# syntax=${await frontend()}\nforward inner\n`,
    inner: "FROM e2e/busybox\nRUN echo inner > /own\n",
  };
  good(await buildx("build", "-t", name, write(t.folder(), files)));
  expect(await dockerOk("run", "--rm", name, "sh", "-c", 'cat /own; echo "$MADE_BY"')).toBe(
    "inner\na frontend",
  );
});

frontendCheck("a frontend has no network where its label says so, and one else", async (t) => {
  const name = imageName(t);
  const lines = ["net /net"];
  const first = await frontend();
  good(await build(t, [`# syntax=${first}`, ...lines], "-t", name));
  expect(await dockerOk("run", "--rm", name, "cat", "/net")).not.toContain("eth0");
  const wider = imageName(t);
  const label = 'LABEL moby.buildkit.frontend.network.none="false"';
  good(await build(t, [`FROM ${first}`, label], "-t", wider));
  good(await build(t, [`# syntax=${wider}`, ...lines], "-t", name));
  expect(await dockerOk("run", "--rm", name, "cat", "/net")).toContain("eth0");
});

frontendCheck("what a frontend says of its failure is told, and how it ended", async (t) => {
  const by = ["--build-arg", `BUILDKIT_SYNTAX=${await frontend()}`];
  const failed = await build(t, ["fail there is no such word"], ...by);
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain("there is no such word");
  const ended = await build(t, ["exit 5"], ...by);
  expect(ended.stderr).toContain("ended with code 5: these are my last words");
  const silent = await build(t, ["exit 0"], ...by);
  expect(silent.stderr).toContain("ended without a result");
  const step = await build(t, ["run exit 9"], ...by);
  expect(step.stderr).toContain("exit code: 9");
  const none = await build(t, ["# syntax=e2e/busybox:latest"]);
  expect(none.stderr).toContain('the frontend "e2e/busybox:latest" did not start');
});

interface Linked {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The statements of an OCI layout, by their predicate's type. */
const statementsIn = (folder: string): Map<string, Record<string, unknown>> => {
  const read = <T>(path: string): T => JSON.parse(readFileSync(`${folder}/${path}`, "utf8")) as T;
  const blob = <T>({ digest }: Linked): T => read<T>(`blobs/${digest.replace(":", "/")}`);
  const [index] = read<{ manifests: [Linked] }>("index.json").manifests;
  const { manifests } = blob<{ manifests: Linked[] }>(index);
  const attested = manifests.find(
    ({ annotations = {} }) => "vnd.docker.reference.type" in annotations,
  );
  if (attested === undefined) return new Map();
  const { layers } = blob<{ layers: Linked[] }>(attested);
  return new Map(
    layers.map((layer): [string, Record<string, unknown>] => [
      layer.annotations?.["in-toto.io/predicate-type"] ?? "",
      blob<Record<string, unknown>>(layer),
    ]),
  );
};

const OTHER =
  '{"predicateType":"https://e.x/other","subject":[{"name":"far","digest":{"sha256":"ab"}}],"predicate":3}';

frontendCheck("what a frontend attests of its result goes with it", async (t) => {
  const lines = [
    `# syntax=${await frontend()}`,
    'file /one.json {"is":1}',
    "run mkdir /more",
    `file /more/other.json ${OTHER}`,
    "attest 0 /one.json https://e.x/one",
    "attest 1 /more",
  ];
  const name = imageName(t);
  const layout = `${t.folder()}/layout`;
  const to = ["--output", `type=oci,name=${name},tar=false,dest=${layout}`];
  good(await build(t, lines, "--provenance", "false", ...to));
  const statements = statementsIn(layout);
  expect([...statements.keys()]).toEqual(["https://e.x/one", "https://e.x/other"]);
  expect(statements.get("https://e.x/one")).toMatchObject({
    predicate: { is: 1 },
    subject: [{ name: expect.stringContaining("pkg:docker/") }],
  });
  expect(statements.get("https://e.x/other")).toMatchObject({
    predicate: 3,
    subject: [{ name: "far", digest: { sha256: "ab" } }],
  });
  const files = `${t.folder()}/files`;
  good(await build(t, lines, "--output", `type=local,dest=${files}`));
  const own = JSON.parse(readFileSync(`${files}/other.json`, "utf8")) as object;
  expect(own).toMatchObject({ predicate: 3, subject: [{ name: "far" }] });
});

frontendCheck("what a frontend may not attest, or attests of nothing, is refused", async (t) => {
  const by = `# syntax=${await frontend()}`;
  const made = [by, "file /one.json {}", "run mkdir /more", `file /more/other.json ${OTHER}`];
  const refusals: readonly [string, string][] = [
    ["attest 0 /one.json https://slsa.dev/provenance/v1", "which the engine alone makes"],
    ["attest 0 /none.json https://e.x/one", "none.json"],
    ["attest 0 /more https://e.x/one", "not a regular file"],
    ["attest 1 /more https://e.x/one", 'is "https://e.x/other", not "https://e.x/one"'],
    ["attest 7 /one.json https://e.x/one", "kind 7"],
  ];
  for (const [line, reason] of refusals) {
    const { code, stderr } = await build(t, [...made, line]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(reason)]);
  }
});

/** Processes of this host with that word in their command or their environment. */
const processesWith = (word: string, file: "cmdline" | "environ"): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return readFileSync(`/proc/${pid}/${file}`, "utf8").includes(word) ? [Number(pid)] : [];
      } catch {
        return []; // It has ended meanwhile.
      }
    });

frontendCheck("a client that goes away takes the frontend with it", async (t) => {
  const mark = t.name();
  const by = ["--build-arg", `BUILDKIT_SYNTAX=${await frontend()}`];
  const folder = write(t.folder(), { Dockerfile: "wait\n" });
  const ended = buildx("build", ...by, "--build-arg", `mark=${mark}`, folder);
  const option = `build-arg:mark=${mark}`;
  await until("the frontend", () => processesWith(option, "environ").length > 0);
  for (const pid of processesWith(mark, "cmdline")) process.kill(pid, "SIGKILL");
  await ended;
  await until("its end", () => processesWith(option, "environ").length === 0);
});
