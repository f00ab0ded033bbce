/** The CLI with no host named starts the engine by itself, once, where the defaults say. */
import { expect } from "bun:test";
import { readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";

import { must, until } from "../harness/process.ts";
import { openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

// The defaults of this world are not the host's: /run is a tmpfs already.
await must([...world.isolation.enter, "mount", "-t", "tmpfs", "tmpfs", "/var/lib"]);
const inside = `/proc/${world.isolation.holderPid}/root`;

const daemonsInside = (): number[] => {
  const own = readlinkSync(`/proc/${world.isolation.holderPid}/ns/mnt`);
  return readdirSync("/proc").flatMap((name) => {
    try {
      const isHere = /^\d+$/.test(name) && readlinkSync(`/proc/${name}/ns/mnt`) === own;
      const words = isHere ? readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0") : [];
      return words.includes("daemon") ? [Number(name)] : [];
    } catch {
      return []; // ended meanwhile
    }
  });
};

const resetDefault = async (): Promise<void> => {
  const reset = await world.cli(["system", "reset", "-f"]);
  expect([reset.code, reset.stderr]).toEqual([0, ""]);
  expect(daemonsInside()).toEqual([]);
  expect(readdirSync(`${inside}/var/lib`)).toEqual([]);
  expect(readdirSync(`${inside}/run`).filter((name) => name.startsWith("naru"))).toEqual([]);
};

scenario(
  "the first command starts it; it outlives the command and is found by the next",
  async () => {
    expect(daemonsInside()).toEqual([]);
    const first = await world.cli(["ps"]);
    expect([first.code, first.stderr]).toEqual([0, ""]);
    expect(first.stdout).toStartWith("CONTAINER ID");
    const [pid] = daemonsInside();
    expect(daemonsInside().length).toBe(1);
    const socket = statSync(`${inside}/run/naru/naru.sock`);
    expect([socket.isSocket(), socket.mode & 0o777]).toEqual([true, 0o660]);
    expect(statSync(`${inside}/var/lib/naru/naru.db`).mode & 0o077).toBe(0);
    expect((await world.cli(["ps", "-q"])).code).toBe(0);
    expect(daemonsInside()).toEqual([pid ?? 0]);
    // It has no terminal and no folder of the command that started it.
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe("/");
    expect(readFileSync(`${inside}/var/lib/naru/daemon.log`, "utf8")).toContain(
      "ready unix:///run/naru/naru.sock",
    );
    await resetDefault();
  },
);

scenario("of many commands at once one starts it, and all are answered", async () => {
  const results = await Promise.all(Array.from({ length: 5 }, () => world.cli(["ps", "-q"])));
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, ""]));
  expect(daemonsInside().length).toBe(1);
  await resetDefault();
});

scenario("after kill -9 the next command starts it again", async () => {
  await world.cli(["ps"]);
  const [pid = 0] = daemonsInside();
  expect(pid).toBeGreaterThan(1);
  process.kill(pid, "SIGKILL");
  await until("its end", () => daemonsInside().length === 0);
  const again = await world.cli(["ps", "-q"]);
  expect([again.code, again.stderr]).toEqual([0, ""]);
  await resetDefault();
});

scenario("a host that was named is not started", async () => {
  const named = await world.cli(["-H", "unix:///run/none.sock", "ps"]);
  expect(named.code).not.toBe(0);
  expect(named.stderr).toContain("/run/none.sock");
  const byEnvironment = await world.cli(["ps"], { DOCKER_HOST: "unix:///run/none.sock" });
  expect(byEnvironment.code).not.toBe(0);
  expect(daemonsInside()).toEqual([]);
});

scenario("one that cannot start says why", async () => {
  await must([
    ...world.isolation.enter,
    "sh",
    "-c",
    "mkdir -p /run/naru && echo x > /run/naru/naru.sock",
  ]);
  const failed = await world.cli(["ps"]);
  expect(failed.code).not.toBe(0);
  expect(failed.stderr).toContain("a file that is no socket stands there");
  await must([...world.isolation.enter, "rm", "/run/naru/naru.sock"]);
  await resetDefault();
});

scenario("and the world gets its own folders back", async () => {
  await must([...world.isolation.enter, "umount", "/var/lib"]);
});

nothingIsLeft();
