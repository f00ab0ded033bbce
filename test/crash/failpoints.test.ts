/**
 * The daemon kills itself at every named point; after a restart it converges: what was asked for
 * is done or not done, never half, everything works, and a reset leaves nothing.
 */
import { expect, test } from "bun:test";

import { BUSYBOX_CONFIG, busyboxRoot, dockerArchive } from "../harness/images.ts";
import { naruBinary } from "../harness/naru.ts";
import { until } from "../harness/process.ts";
import { writeTar } from "../harness/tar.ts";
import { type WorldRegistry, startRegistry } from "./registry.ts";
import { gone, startable, type Scenario } from "./scenario.ts";
import {
  UNDO,
  VOLUME_COPY,
  VOLUME_MOUNT,
  VOLUME_REMOVE,
  VOLUME_RENAME,
  VOLUME_UNDO,
} from "./volume-scenarios.ts";
import { ended, IMAGE, isAlive, monitorsOf, withWorld, type CrashWorld } from "./world.ts";

const archive = async (tag: string): Promise<Buffer> =>
  dockerArchive(
    [tag],
    [writeTar(await busyboxRoot()), writeTar([{ name: "loaded", body: Buffer.alloc(4 << 20, 1) }])],
    BUSYBOX_CONFIG,
  );

const CREATE: Scenario = {
  trigger: (w) =>
    w.attempt("POST", "/containers/create?name=made", {
      body: {
        Image: IMAGE,
        Cmd: ["sleep", "600"],
        Volumes: { "/anonymous": {} },
        HostConfig: { Binds: ["named:/named"] },
      },
    }),
  verify: async (w) => {
    if ((await w.state("made")) === undefined) await w.create("made", "sleep", "600");
    await startable(w, "made");
    await gone(w, "made");
  },
};

/** A network that was being made can be made again, if it is not there, and carries names and packets. */
const NETWORK: Scenario = {
  trigger: (w) => w.attempt("POST", "/networks/create", { body: { Name: "made" } }),
  verify: async (w) => {
    const reply = await w.api("POST", "/networks/create", { body: { Name: "made" } });
    expect([201, 409]).toContain(reply.status);
    await inNetwork(w, "made");
  },
};

const NETWORK_REMOVE: Scenario = {
  prepare: async (w) => {
    expect((await w.api("POST", "/networks/create", { body: { Name: "made" } })).status).toBe(201);
  },
  trigger: (w) => w.attempt("DELETE", "/networks/made"),
  verify: (w) => NETWORK.verify(w),
};

const CONNECT: Scenario = {
  prepare: async (w) => {
    await NETWORK_REMOVE.prepare?.(w);
    await w.up("box", "sleep", "600");
  },
  trigger: (w) => w.attempt("POST", "/networks/made/connect", { body: { Container: "box" } }),
  verify: async (w) => {
    await startable(w, "box");
    const body = { Container: "box" };
    const found = await w.api("POST", "/networks/made/connect", { body });
    expect([200, 403]).toContain(found.status);
    expect((await w.cli("exec", "box", "ip", "-o", "-4", "addr")).stdout).toContain(" eth1 ");
    expect((await w.api("POST", "/networks/made/disconnect", { body })).status).toBe(200);
    await gone(w, "box");
    expect((await w.api("DELETE", "/networks/made")).status).toBe(204);
  },
};

const PORTS: Scenario = {
  prepare: async (w) => void (await w.up("box", "sleep", "600")),
  trigger: (w) =>
    w.attempt("POST", "/naru/containers/box/ports", { body: { Add: { "80/tcp": [] } } }),
  verify: async (w) => {
    await startable(w, "box");
    const reply = await w.api("POST", "/naru/containers/box/ports", {
      body: { Add: { "81/tcp": [] } },
    });
    expect(reply.status).toBe(200);
    expect((await w.cli("port", "box", "81")).stdout).toContain("0.0.0.0:");
    await gone(w, "box");
  },
};

const inNetwork = async (w: CrashWorld, name: string): Promise<void> => {
  for (const box of ["left", "right"]) {
    await w.cli("run", "-d", "--name", box, "--network", name, IMAGE, "sleep", "600");
  }
  const format = "{{.NetworkSettings.Networks.made.IPAddress}}";
  const address = (await w.cli("inspect", "-f", format, "left")).stdout.trim();
  const out = await w.cli("exec", "right", "ping", "-c", "1", "-W", "20", address);
  expect(out.stdout).toContain(" 0% packet loss");
  for (const box of ["left", "right"]) await gone(w, box);
  expect((await w.api("DELETE", `/networks/${name}`)).status).toBe(204);
};

const START: Scenario = {
  prepare: (w) => w.create("box", "sh", "-c", "echo started; exec sleep 600"),
  trigger: (w) => w.attempt("POST", "/containers/box/start"),
  verify: async (w) => {
    await startable(w, "box");
    const { Pid } = (await w.state("box"))!;
    await gone(w, "box");
    expect(isAlive(Pid)).toBe(false);
  },
};

const STOP: Scenario = {
  prepare: async (w) => {
    await w.up("box", "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done");
    await until("the trap", async () => (await w.cli("logs", "box")).stdout === "up\n");
  },
  trigger: (w) => w.attempt("POST", "/containers/box/stop?t=100"),
  verify: async (w) => {
    expect((await ended(w, "box")).ExitCode).toBe(5);
    await startable(w, "box");
    await gone(w, "box");
  },
};

/** All monitors had ended by then. */
let overMs = 0;
const EXIT: Scenario = {
  prepare: (w) => w.create("box", "sh", "-c", "sleep 2; exit 9"),
  trigger: (w) => w.attempt("POST", "/containers/box/start"),
  meanwhile: async (w) => {
    await until("its end", () => monitorsOf(w.roots.execRoot).length === 0);
    overMs = Date.now();
    await Bun.sleep(2_000);
  },
  verify: async (w) => {
    const state = await ended(w, "box");
    expect(state.ExitCode).toBe(9);
    const finished = Date.parse(state.FinishedAt);
    expect(finished).toBeGreaterThan(Date.parse(state.StartedAt) + 1_000);
    // When it ended, not when the daemon came back.
    expect(finished).toBeLessThan(overMs + 500);
    await gone(w, "box");
  },
};

const EXEC: Scenario = {
  prepare: async (w) => void (await w.up("box", "sleep", "600")),
  trigger: async (w) => {
    const made = await w.api("POST", "/containers/box/exec", { body: { Cmd: ["sleep", "300"] } });
    const { Id } = made.json<{ Id: string }>();
    await w.attempt("POST", `/exec/${Id}/start`, { body: { Detach: true } });
  },
  verify: async (w) => {
    await startable(w, "box");
    await gone(w, "box");
  },
};

const usableImage = async (w: CrashWorld, tag: string): Promise<boolean> => {
  if ((await w.api("GET", `/images/${tag}/json`)).status === 404) return false;
  const out = await w.cli("run", "--rm", tag, "echo", "from it");
  expect([out.code, out.stdout]).toEqual([0, "from it\n"]);
  return true;
};

const COMMIT: Scenario = {
  prepare: async (w) => {
    await w.up("box", "sh", "-c", "echo data > /data");
    await ended(w, "box");
  },
  trigger: (w) => w.attempt("POST", "/commit?container=box&repo=committed&tag=1"),
  verify: async (w) => {
    await usableImage(w, "committed:1");
    const again = await w.api("POST", "/commit?container=box&repo=committed&tag=1");
    expect(again.status).toBe(201);
    expect((await w.cli("run", "--rm", "committed:1", "cat", "/data")).stdout).toBe("data\n");
    await gone(w, "box");
    expect((await w.api("DELETE", "/images/committed:1")).status).toBe(200);
  },
};

const REMOVE: Scenario = {
  prepare: async (w) => void (await w.up("box", "sleep", "600")),
  trigger: (w) => w.attempt("DELETE", "/containers/box?force=1&v=1"),
  verify: async (w) => {
    await gone(w, "box");
    await w.up("box", "sleep", "600");
    await startable(w, "box");
    await gone(w, "box");
  },
};

const RENAME: Scenario = {
  prepare: async (w) => void (await w.up("old", "sleep", "600")),
  trigger: (w) => w.attempt("POST", "/containers/old/rename?name=new"),
  verify: async (w) => {
    const [old, other] = [await w.state("old"), await w.state("new")];
    expect([old, other].filter((state) => state !== undefined).length).toBe(1);
    await startable(w, old === undefined ? "new" : "old");
    await w.create(old === undefined ? "old" : "new", "true");
    await gone(w, "old");
    await gone(w, "new");
  },
};

const LOAD: Scenario = {
  trigger: async (w) =>
    w.attempt("POST", "/images/load?quiet=1", { raw: await archive("loaded:1") }),
  verify: async (w) => {
    await usableImage(w, "loaded:1");
    const reply = await w.api("POST", "/images/load?quiet=1", { raw: await archive("loaded:1") });
    expect(reply.status).toBe(200);
    expect(await usableImage(w, "loaded:1")).toBe(true);
    expect((await w.api("DELETE", "/images/loaded:1")).status).toBe(200);
  },
};

let registry: WorldRegistry | undefined;

const pullPath = (): string => `/images/create?fromImage=${registry?.host}/crash/image&tag=1`;

/** Pulled again, the image is there. Gives how often each blob was asked for. */
const pulledAgain = async (w: CrashWorld): Promise<number[]> => {
  const { host, lines } = registry!;
  const name = `${host}/crash/image:1`;
  expect(await usableImage(w, name)).toBe(false);
  expect((await w.api("POST", pullPath())).status).toBe(200);
  expect(await usableImage(w, name)).toBe(true);
  await registry!.stop();
  expect((await w.api("DELETE", `/images/${name}`)).status).toBe(200);
  const fetched = lines.filter((line) => line.startsWith("GET") && line.includes("/blobs/"));
  return [...Map.groupBy(fetched, (line) => line).values()].map((all) => all.length);
};

const PULL_BEGUN: Scenario = {
  prepare: async (w) => void (registry = await startRegistry(w)),
  trigger: (w) => w.attempt("POST", pullPath()),
  // How much had come by then is a matter of chance.
  verify: async (w) => void (await pulledAgain(w)),
};

const PULL: Scenario = {
  ...PULL_BEGUN,
  verify: async (w) => {
    const counts = await pulledAgain(w);
    // What was whole before the kill is not fetched again: the config twice, the one new layer once.
    expect(counts.toSorted((a, b) => a - b)).toEqual([1, 2]);
  },
};

const VOLUME: Scenario = {
  trigger: (w) => w.attempt("POST", "/volumes/create", { body: { Name: "vol" } }),
  verify: async (w) => {
    const made = await w.api("POST", "/volumes/create", { body: { Name: "vol" } });
    expect(made.status).toBe(201);
    const out = await w.cli(
      "run",
      "--rm",
      "-v",
      "vol:/v",
      IMAGE,
      "sh",
      "-c",
      "touch /v/f && ls /v",
    );
    expect(out.stdout).toBe("f\n");
    expect((await w.api("DELETE", "/volumes/vol")).status).toBe(204);
  },
};

const IMAGE_REMOVE: Scenario = {
  prepare: async (w) => {
    await w.api("POST", "/images/load?quiet=1", { raw: await archive("doomed:1") });
  },
  trigger: (w) => w.attempt("DELETE", "/images/doomed:1"),
  verify: async (w) => {
    await usableImage(w, "doomed:1");
    await w.api("POST", "/images/load?quiet=1", { raw: await archive("doomed:1") });
    expect(await usableImage(w, "doomed:1")).toBe(true);
    expect((await w.api("DELETE", "/images/doomed:1")).status).toBe(200);
  },
};

const contextOf = (): Buffer =>
  writeTar([
    {
      name: "Dockerfile",
      body: `FROM ${IMAGE}\nCOPY data /data\nRUN echo stepped; cat /data > /made; sleep 0.2\n`,
    },
    { name: "data", body: Buffer.alloc(2 << 20, "d") },
  ]);

const BUILD: Scenario = {
  trigger: (w) => w.attempt("POST", "/build?t=built:1", { raw: contextOf() }),
  verify: async (w) => {
    expect((await w.api("GET", "/images/built:1/json")).status).toBe(404);
    const reply = await w.api("POST", "/build?t=built:1", { raw: contextOf() });
    expect(reply.text).toContain("Successfully tagged built:1");
    const out = await w.cli("run", "--rm", "built:1", "cmp", "/data", "/made");
    expect([out.code, out.stdout]).toEqual([0, ""]);
    expect((await w.api("DELETE", "/images/built:1")).status).toBe(200);
    expect((await w.api("POST", "/build/prune?all=1")).status).toBe(200);
  },
};

/** By the word before the dot. */
const SCENARIOS: Record<string, Scenario> = {
  create: CREATE,
  start: START,
  stop: STOP,
  exit: EXIT,
  exec: EXEC,
  commit: COMMIT,
  remove: REMOVE,
  rename: RENAME,
  load: LOAD,
  pull: PULL,
  "pull.before-layer": PULL_BEGUN,
  build: BUILD,
  volume: VOLUME,
  "volume-rename": VOLUME_RENAME,
  "volume-mount": VOLUME_MOUNT,
  "volume-remove": VOLUME_REMOVE,
  "volume-undo": VOLUME_UNDO,
  undo: UNDO,
  "volume-copy": VOLUME_COPY,
  "image-remove": IMAGE_REMOVE,
  network: NETWORK,
  "network-remove": NETWORK_REMOVE,
  connect: CONNECT,
  ports: PORTS,
};

const listed = Bun.spawnSync([naruBinary(), "daemon", "--list-failpoints"]).stdout.toString();
const names = listed.split("\n").filter((line) => line.trim() !== "");

/** A point's own, or that of its verb. */
const scenarioOf = (name: string): Scenario | undefined =>
  SCENARIOS[name] ?? SCENARIOS[name.split(".")[0] ?? ""];

test("the daemon names its failpoints, and each has a scenario", () => {
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => scenarioOf(name) === undefined)).toEqual([]);
});

for (const name of names) {
  const scenario = scenarioOf(name);
  if (scenario === undefined) continue;
  test(`killed at ${name}`, async () => {
    await withWorld(async (w) => {
      await scenario.prepare?.(w);
      await w.stop();
      await w.start(name, scenario.flags);
      await scenario.trigger(w);
      await w.died();
      await scenario.meanwhile?.(w);
      await w.start(undefined, scenario.flags);
      await scenario.verify(w);
    });
  }, 400_000);
}
