/** Out of memory, freezing and ending. */
import { check, equal, ok } from "./check.ts";
import {
  SOCKET,
  call,
  cgroupCount,
  cgroupFile,
  exec,
  idle,
  inspect,
  until,
  up,
  waitFor,
  type Container,
} from "./engine.ts";
import { ndjson, open } from "../../harness/http.ts";

const MIB = 2 ** 20;
/** One process that grows: tail keeps what has no end of line. */
const GROW = "tail -c 400m /dev/zero";

/** The actions of one container's events, in order, until `last` has come. */
const actionsUntil = async (id: string, last: string): Promise<string[]> => {
  const abort = new AbortController();
  const filters = encodeURIComponent(JSON.stringify({ container: [id] }));
  const response = await open(SOCKET, "GET", `/events?since=1&filters=${filters}`, {
    signal: abort.signal,
  });
  const actions: string[] = [];
  for await (const { Action } of ndjson<{ Action: string }>(response as AsyncIterable<Buffer>)) {
    actions.push(Action);
    if (Action === last) break;
  }
  abort.abort();
  return actions;
};

const oomChecks = (): void => {
  check("out of memory: killed, told so by inspect and by an event", async () => {
    const container = await up(`exec ${GROW}`, { Memory: 24 * MIB, MemorySwap: 24 * MIB });
    equal(await waitFor(container.name), 137, "exit code");
    const { State } = await inspect(container.name);
    equal([State.OOMKilled, State.ExitCode, State.Status], [true, 137, "exited"], "State");
    const actions = await actionsUntil(container.id, "die");
    equal(actions, ["create", "start", "oom", "die"], "events");
  });

  check("a kill is no OOM kill", async () => {
    const container = await idle({ Memory: 64 * MIB });
    await call("POST", `/containers/${container.name}/kill`);
    equal(await waitFor(container.name), 137, "exit code");
    equal((await inspect(container.name)).State.OOMKilled, false, "OOMKilled");
  });

  check("a child killed for want of memory: the container lives and the event comes", async () => {
    const container = await up(`${GROW} > /dev/null; echo child $?; sleep 60`, {
      Memory: 24 * MIB,
      MemorySwap: 24 * MIB,
    });
    await until(
      "the OOM kill",
      () => cgroupCount(container, "memory.events", "oom_kill") > 0,
      15_000,
    );
    const actions = await actionsUntil(container.id, "oom");
    const { State } = await inspect(container.name);
    equal([State.Status, State.OOMKilled], ["running", true], "State");
    return actions.join(", ");
  });

  check("an OOM kill does not stick to the next start", async () => {
    const script = `test -e /second && exit 0; touch /second; exec ${GROW}`;
    const container = await up(script, { Memory: 24 * MIB, MemorySwap: 24 * MIB });
    equal(await waitFor(container.name), 137, "first exit code");
    await call("POST", `/containers/${container.name}/start`);
    equal(await waitFor(container.name), 0, "second exit code");
    equal((await inspect(container.name)).State.OOMKilled, false, "OOMKilled");
  });
};

const pauseChecks = (): void => {
  /** How often the container's loop went around so far. */
  const rounds = async (container: Container): Promise<number> =>
    Number(
      (await Bun.file(`/proc/${(await inspect(container.name)).State.Pid}/root/n`).text()) || 0,
    );

  check("pause stops every process, unpause lets them go on", async () => {
    const container = await up("n=0; while :; do n=$((n+1)); echo $n > /n; usleep 10000; done");
    await until("a few rounds", async () => (await rounds(container).catch(() => 0)) > 5);
    const began = performance.now();
    await call("POST", `/containers/${container.name}/pause`);
    const pauseMs = Math.round(performance.now() - began);
    equal(cgroupFile(container, "cgroup.freeze"), "1", "cgroup.freeze");
    equal(cgroupCount(container, "cgroup.events", "frozen"), 1, "cgroup.events frozen");
    const { State } = await inspect(container.name);
    equal([State.Status, State.Paused, State.Running], ["paused", true, true], "State");
    const usage = cgroupCount(container, "cpu.stat", "usage_usec");
    await Bun.sleep(500);
    equal(cgroupCount(container, "cpu.stat", "usage_usec"), usage, "processor time while paused");
    const refusal = await exec(container.name, "true").catch(String);
    ok(String(refusal).includes("paused"), `exec in a paused container answered ${refusal}`);
    await call("POST", `/containers/${container.name}/unpause`);
    equal(cgroupCount(container, "cgroup.events", "frozen"), 0, "cgroup.events frozen");
    const paused = await rounds(container);
    await until("more rounds", async () => (await rounds(container)) > paused + 3);
    equal((await inspect(container.name)).State.Status, "running", "State.Status");
    return `frozen in ${pauseMs} ms`;
  });

  check("a paused container can be killed and removed", async () => {
    const container = await idle();
    await call("POST", `/containers/${container.name}/pause`);
    await call("POST", `/containers/${container.name}/kill`);
    equal(await waitFor(container.name), 137, "exit code");
    const other = await idle();
    await call("POST", `/containers/${other.name}/pause`);
    await call("DELETE", `/containers/${other.name}?force=1`);
  });

  check("stop ends all processes, also those that left the first one", async () => {
    const container = await up("setsid sleep 600 & setsid sleep 600 & trap 'exit 7' TERM; wait");
    await until("three", () => cgroupFile(container, "pids.current") === "3");
    await call("POST", `/containers/${container.name}/stop?t=5`);
    equal((await inspect(container.name)).State.ExitCode, 7, "exit code");
    const { stdout } = Bun.spawnSync(["pgrep", "-f", "sleep 600"]);
    equal(stdout.toString(), "", "processes left");
  });
};

export const lifeChecks = (): void => {
  oomChecks();
  pauseChecks();
};
