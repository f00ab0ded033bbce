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
