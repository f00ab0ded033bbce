/** Runs in the machine: the daemon, the checks, and the host's state before and after. */
import { alone, equal, ok, runChecks } from "./check.ts";
import { readFileSync, rmdirSync } from "node:fs";

import { api } from "../../harness/http.ts";
import {
  CGROUPS,
  IMAGE,
  SOCKET,
  call,
  idle,
  madeByCheck,
  naru,
  startDaemon,
  until,
} from "./engine.ts";
import { hostState, leftovers } from "./host.ts";
import { limitChecks } from "./limits.ts";
import { lifeChecks } from "./life.ts";
import { report } from "./report.ts";
import { statsChecks } from "./stats.ts";
import { volumeChecks } from "./volumes.ts";
import { worldChecks } from "./world.ts";

const [bootSeconds] = readFileSync("/proc/uptime", "utf8").split(" ");
const before = await hostState();
let daemon = await startDaemon();
report({
  kind: "note",
  text: `booted in ${bootSeconds} s, the daemon was ready after ${daemon.readyMs} ms`,
});

alone("the command line makes naru/hello and runs it", async () => {
  const began = performance.now();
  const result = await naru("run", "--rm", "naru/hello", "echo", "ashore");
  equal([result.code, result.stdout], [0, "ashore\n"], `naru run ${result.stderr}`);
  const first = performance.now();
  equal((await naru("run", "--rm", IMAGE, "true")).code, 0, "the second run");
  return `first ${Math.round(first - began)} ms, second ${Math.round(performance.now() - first)} ms`;
});

worldChecks();
volumeChecks();
limitChecks();
statsChecks();
lifeChecks();

alone("the daemon is killed: containers run on, are found again and still limited", async () => {
  const container = await idle({ Memory: 64 * 2 ** 20, PidsLimit: 40 });
  const frozen = await idle();
  await call("POST", `/containers/${frozen.name}/pause`);
  daemon.child.kill("SIGKILL");
  await daemon.child.exited;
  daemon = await startDaemon();
  const list = (await call("GET", "/containers/json")).json<{ Id: string; State: string }[]>();
  const stateOf = (id: string): string | undefined => list.find((row) => row.Id === id)?.State;
  equal([stateOf(container.id), stateOf(frozen.id)], ["running", "paused"], "states");
  await call("POST", `/containers/${container.name}/update`, { PidsLimit: 50 });
  await call("POST", `/containers/${frozen.name}/unpause`);
  await call("POST", `/containers/${frozen.name}/stop`);
  return `ready again after ${daemon.readyMs} ms`;
});

alone("naru system reset leaves the host as it was", async () => {
  await idle({ Memory: 64 * 2 ** 20, PortBindings: { "80/tcp": [{ HostPort: "8081" }] } });
  const frozen = await idle({ CgroupParent: "/vm-reset" });
  await call("POST", `/containers/${frozen.name}/pause`);
  const network = await api(SOCKET, "POST", "/networks/create", { body: { Name: "vm-net" } });
  ok([201, 501].includes(network.status), `a network: ${network.text}`);
  await call("POST", "/volumes/create", { Name: "vm-volume" });
  ok(leftovers(before, await hostState()).length > 4, "a daemon with containers shows on the host");
  madeByCheck.getStore()?.splice(0);
  const began = performance.now();
  const result = await naru("system", "reset", "--force");
  const ms = Math.round(performance.now() - began);
  equal(result.code, 0, `naru system reset: ${result.stdout}${result.stderr}`);
  rmdirSync(`${CGROUPS}/vm-reset`);
  let left: string[] = [];
  // Interfaces of network namespaces that went go a moment later.
  const isClean = async (): Promise<boolean> =>
    (left = leftovers(before, await hostState())).length === 0;
  await until("a clean host", isClean, 5000, 100).catch(() => {
    throw new Error(`left behind:\n${left.join("\n")}`);
  });
  return `reset took ${ms} ms`;
});

await runChecks(new RegExp(await Bun.file("/payload/pattern").text()));
report({ kind: "end" });
daemon.child.kill("SIGKILL");
process.exit(0);
