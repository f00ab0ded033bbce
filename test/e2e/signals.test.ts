/** Stop, kill, pause, restart, wait: signals, timeouts, states and codes. */
import { expect } from "bun:test";

import {
  api,
  BUSYBOX,
  FULL,
  check,
  docker,
  dockerOk,
  field,
  sleep,
  stateOf,
  until,
} from "../harness/check.ts";
import { dockerBackground } from "../harness/client.ts";

const trap = (signal: string, code: number): string =>
  `trap 'echo got ${signal}; exit ${code}' ${signal}; echo ready; while :; do sleep 0.1; done`;

const ready = (name: string): Promise<boolean> =>
  until("ready", async () => (await docker(["logs", name])).stdout.includes("ready"));

check("stop sends TERM and gives the process's code", async (t) => {
  const name = await t.up(BUSYBOX, "sh", "-c", trap("TERM", 12));
  await ready(name);
  expect(await dockerOk("stop", "-t", "60", name)).toBe(name);
  const state = await stateOf(name);
  expect([state.Status, state.ExitCode, state.Running]).toEqual(["exited", 12, false]);
  expect(await dockerOk("logs", name)).toContain("got TERM");
});

check("stop -t kills after the time with code 137", async (t) => {
  const name = await t.up(
    "--stop-timeout",
    "120",
    BUSYBOX,
    "sh",
    "-c",
    "trap '' TERM; echo ready; while :; do sleep 0.1; done",
  );
  await ready(name);
  const begin = performance.now();
  await dockerOk("stop", "-t", "1", name);
  const took = performance.now() - begin;
  expect(took).toBeGreaterThan(900);
  expect(took).toBeLessThan(60_000);
  expect((await stateOf(name)).ExitCode).toBe(137);
});

check("stop -t 0 kills at once", async (t) => {
  const name = await t.up(
    "--stop-timeout",
    "120",
    BUSYBOX,
    "sh",
    "-c",
    "trap '' TERM; echo ready; while :; do sleep 0.1; done",
  );
  await ready(name);
  const begin = performance.now();
  await dockerOk("stop", "-t", "0", name);
  expect(performance.now() - begin).toBeLessThan(60_000);
});

check("--stop-signal", async (t) => {
  const name = await t.up("--stop-signal", "USR2", BUSYBOX, "sh", "-c", trap("USR2", 31));
  await ready(name);
  await dockerOk("stop", "-t", "60", name);
  expect((await stateOf(name)).ExitCode).toBe(31);
});

check("the image's STOPSIGNAL is used and shown", async (t) => {
  const name = await t.up(FULL, "sh", "-c", trap("USR1", 32));
  await ready(name);
  expect(await field(name, "{{.Config.StopSignal}}")).toBe("SIGUSR1");
  await dockerOk("stop", "-t", "60", name);
  expect((await stateOf(name)).ExitCode).toBe(32);
});

check("--stop-timeout is the default of stop", async (t) => {
  const args = [
    "--stop-timeout",
    "1",
    BUSYBOX,
    "sh",
    "-c",
    "trap '' TERM; echo ready; while :; do sleep 0.1; done",
  ];
  const name = await t.up(...args);
  await ready(name);
  const begin = performance.now();
  await dockerOk("stop", name);
  // Ten seconds are the default.
  expect(performance.now() - begin).toBeLessThan(9_500);
  expect((await stateOf(name)).ExitCode).toBe(137);
});

check("stop of a stopped container is no error", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  await dockerOk("start", "-a", name);
  expect((await docker(["stop", name])).code).toBe(0);
});

check("stop of an unknown container", async () => {
  const out = await docker(["stop", "e2e-unknown"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/No such container: e2e-unknown/);
});

check("kill sends KILL", async (t) => {
  const name = await t.idle();
  expect(await dockerOk("kill", name)).toBe(name);
  await dockerOk("wait", name);
  const state = await stateOf(name);
  expect([state.Status, state.ExitCode]).toEqual(["exited", 137]);
});

for (const signal of ["HUP", "SIGHUP", "1"]) {
  check(`kill -s ${signal} reaches the process, which lives on`, async (t) => {
    const script = "trap 'echo hup' HUP; echo ready; while :; do sleep 0.1; done";
    const name = await t.up(BUSYBOX, "sh", "-c", script);
    await ready(name);
    await dockerOk("kill", "-s", signal, name);
    await until("hup", async () => (await docker(["logs", name])).stdout.includes("hup"));
    expect((await stateOf(name)).Running).toBe(true);
  });
}

check("kill of a stopped container is refused", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  const out = await docker(["kill", name]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/is not running/);
});

check("kill with an unknown signal is refused", async (t) => {
  const name = await t.idle();
  const out = await docker(["kill", "-s", "NOSUCH", name]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/Invalid signal/i);
});

check("kill of several, one of them unknown: the others are killed, code 1", async (t) => {
  const [one, two] = [await t.idle(), await t.idle()];
  const out = await docker(["kill", one, "e2e-unknown", two]);
  expect(out.code).toBe(1);
  expect(out.stdout.trim().split("\n").sort()).toEqual([one, two].sort());
  await until(
    "both ended",
    async () => !(await stateOf(one)).Running && !(await stateOf(two)).Running,
  );
});

check("kill during the grace period of stop gets through", async (t) => {
  const name = await t.up(
    BUSYBOX,
    "sh",
    "-c",
    "trap '' TERM; echo ready; while :; do sleep 0.1; done",
  );
  await ready(name);
  const stopping = docker(["stop", "-t", "120", name]);
  await sleep(500);
  const begin = performance.now();
  await dockerOk("kill", name);
  await stopping;
  expect(performance.now() - begin).toBeLessThan(60_000);
});

check("pause freezes, unpause goes on", async (t) => {
  const script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";
  const name = await t.up(BUSYBOX, "sh", "-c", script);
  expect(await dockerOk("pause", name)).toBe(name);
  expect(await field(name, "{{.State.Status}} {{.State.Paused}} {{.State.Running}}")).toBe(
    "paused true true",
  );
  // What it had written may still be on its way into the log.
  let before = await dockerOk("logs", name);
  await until(
    "a log that rests",
    async () => {
      const [last] = [before, (before = await dockerOk("logs", name))];
      return last === before;
    },
    undefined,
    300,
  );
  await sleep(500);
  expect(await dockerOk("logs", name)).toBe(before);
  await dockerOk("unpause", name);
  await until("more lines", async () => (await dockerOk("logs", name)).length > before.length);
  expect(await field(name, "{{.State.Status}}")).toBe("running");
});

check("pause twice and unpause of a running one are refused", async (t) => {
  const name = await t.idle();
  const wrong = await docker(["unpause", name]);
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toMatch(/is not paused/);
  await dockerOk("pause", name);
  const twice = await docker(["pause", name]);
  expect(twice.code).toBe(1);
  expect(twice.stderr).toMatch(/already paused/);
  await dockerOk("unpause", name);
});

check("pause of a stopped container is refused", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  const out = await docker(["pause", name]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/is not running/);
});

check("a paused container can be killed", async (t) => {
  const name = await t.idle();
  await dockerOk("pause", name);
  await dockerOk("kill", name);
  await until("ended", async () => !(await stateOf(name)).Running);
});

check(
  "a paused container that is stopped, or gets a signal, goes on and ends as it likes",
  async (t) => {
    const paused = async (): Promise<string> => {
      const name = await t.up(BUSYBOX, "sh", "-c", trap("TERM", 12));
      await ready(name);
      await dockerOk("pause", name);
      return name;
    };
    const stopped = await paused();
    await dockerOk("stop", "-t", "60", stopped);
    expect(await stateOf(stopped)).toMatchObject({ Status: "exited", ExitCode: 12 });
    const killed = await paused();
    await dockerOk("kill", "-s", "TERM", killed);
    expect(await dockerOk("wait", killed)).toBe("12");
    const urged = await paused();
    await dockerOk("kill", "-s", "CONT", urged);
    expect((await stateOf(urged)).Status).toBe("running");
  },
);

check("ps shows Paused", async (t) => {
  const name = await t.idle();
  await dockerOk("pause", name);
  const status = await dockerOk("ps", "--filter", `name=${name}`, "--format", "{{.Status}}");
  expect(status).toMatch(/^Up .*\(Paused\)$/);
  await dockerOk("unpause", name);
});

check("restart gives a new process and keeps the files", async (t) => {
  const name = await t.up(BUSYBOX, "sh", "-c", "echo x >> /count; exec sleep 600");
  const before = await stateOf(name);
  expect(await dockerOk("restart", "-t", "0", name)).toBe(name);
  const after = await stateOf(name);
  expect(after.Running).toBe(true);
  expect(after.Pid).not.toBe(before.Pid);
  expect(Date.parse(after.StartedAt)).toBeGreaterThan(Date.parse(before.StartedAt));
  await until("two lines", async () =>
    (await dockerOk("exec", name, "wc", "-l", "/count")).startsWith("2"),
  );
});

check("with --rm, a restart keeps the container and its files", async (t) => {
  const name = await t.up("--rm", BUSYBOX, "sleep", "600");
  await dockerOk("exec", name, "sh", "-c", "echo kept > /file; sync");
  expect(await dockerOk("restart", "-t", "0", name)).toBe(name);
  expect(await dockerOk("exec", name, "cat", "/file")).toBe("kept");
});

check("restart starts a stopped container", async (t) => {
  const name = await t.create(BUSYBOX, "sleep", "600");
  await dockerOk("restart", name);
  expect((await stateOf(name)).Running).toBe(true);
});

check("wait prints the code of each", async (t) => {
  const one = await t.up(BUSYBOX, "sh", "-c", "sleep 0.3; exit 3");
  const two = await t.up(BUSYBOX, "sh", "-c", "exit 4");
  expect(await dockerOk("wait", one, two)).toBe("3\n4");
});

check("wait of an exited container answers at once", async (t) => {
  const name = await t.up(BUSYBOX, "sh", "-c", "exit 5");
  expect(await dockerOk("wait", name)).toBe("5");
  expect(await dockerOk("wait", name)).toBe("5");
});

check("wait of an unknown container", async () => {
  const out = await docker(["wait", "e2e-unknown"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/No such container/);
});

check("many waiters of one container all get the code", async (t) => {
  const name = await t.up("-i", BUSYBOX, "sh", "-c", "sleep 1; exit 8");
  const waiters = Array.from({ length: 5 }, () => api("POST", `/containers/${name}/wait`));
  for (const reply of await Promise.all(waiters)) {
    expect(reply.json<{ StatusCode: number }>().StatusCode).toBe(8);
  }
});

check("started and finished times are true and in order", async (t) => {
  const begin = Date.now();
  const name = await t.up(BUSYBOX, "sleep", "3");
  await dockerOk("wait", name);
  const state = await stateOf(name);
  const [started, finished] = [Date.parse(state.StartedAt), Date.parse(state.FinishedAt)];
  expect(started).toBeGreaterThan(begin - 1_000);
  expect(finished - started).toBeGreaterThan(2_000);
  expect(finished).toBeLessThan(Date.now() + 1_000);
});

check("the times of a container that never ran are the zero time", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  const state = await stateOf(name);
  expect([state.Status, state.StartedAt, state.FinishedAt, state.Pid]).toEqual([
    "created",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    0,
  ]);
});

check("a client waiting in run sees the kill as 137", async (t) => {
  const name = t.name();
  const client = dockerBackground(
    "run",
    "--rm",
    "--name",
    name,
    BUSYBOX,
    "sh",
    "-c",
    "echo up; sleep 60",
  );
  await client.waitFor("up");
  await dockerOk("kill", name);
  expect(await client.exited).toBe(137);
});
