/**
 * Keeps one engine for a test run: starts it, loads the test images, prints its facts as one
 * JSON line, and when its stdin ends stops it and prints what was left over as a second line.
 */
import { startDocker20, startDocker28 } from "../peer/docker.ts";
import type { StartedEngine } from "./engine.ts";
import { loadFixtures } from "./fixtures.ts";
import { cgroupParentOf, cgroupsWith } from "./leftovers.ts";
import { startNaru } from "./naru.ts";
import { api } from "./http.ts";

const STARTERS: Record<string, () => Promise<StartedEngine>> = {
  naru: startNaru,
  docker20: startDocker20,
  docker28: startDocker28,
};

/** Runs one container to learn which cgroup the engine puts them under. */
const learnCgroup = async (socketPath: string): Promise<string | undefined> => {
  const create = await api(socketPath, "POST", "/containers/create", {
    body: { Image: "e2e/busybox:latest", Cmd: ["sleep", "60"] },
  });
  const { Id } = create.json<{ Id: string }>();
  await api(socketPath, "POST", `/containers/${Id}/start`);
  const info = await api(socketPath, "GET", `/containers/${Id}/json`);
  const { State } = info.json<{ State: { Pid: number } }>();
  const parent = cgroupParentOf(State.Pid);
  await api(socketPath, "DELETE", `/containers/${Id}?force=1`);
  return parent;
};

const kind = process.env["E2E_ENGINE"] ?? "naru";
const starter = STARTERS[kind];
if (starter === undefined) {
  throw new Error(`E2E_ENGINE "${kind}": one of ${Object.keys(STARTERS).join(", ")}`);
}

const engine = await starter();
let left: readonly string[] = [];
try {
  const socketPath = engine.host.replace(/^unix:\/\//, "");
  await loadFixtures(socketPath);
  const parent = await learnCgroup(socketPath);
  const facts = { ...engine, stop: undefined };
  console.log(JSON.stringify(facts));
  for await (const chunk of Bun.stdin.stream()) void chunk;
  left = await engine.stop();
  if (kind === "naru" && parent !== undefined) left = [...left, ...cgroupsWith([parent])];
} catch (error) {
  await engine.stop();
  throw error;
}
console.log(JSON.stringify(left));
for (const thing of left) console.error(`left over: ${thing}`);
process.exit(left.length === 0 ? 0 : 3);
