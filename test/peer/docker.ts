/** Real Docker engines as peers: the distribution's 20.10 and Debian unstable's 28.5. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";

import type { StartedEngine } from "../harness/engine.ts";
import { isolate, type Isolation } from "../harness/isolation.ts";
import { run, until } from "../harness/process.ts";

/** Where `bench/peers/bring.ts` unpacks Debian unstable with its Docker. */
export const SID_ROOT = "/var/tmp/naru-peers/sid";

export const hasDocker20 = (): boolean => existsSync("/usr/sbin/dockerd");
export const hasDocker28 = (): boolean => existsSync(`${SID_ROOT}/usr/sbin/dockerd`);

const answers = async (socketPath: string): Promise<boolean> => {
  try {
    const reply = await fetch("http://localhost/_ping", { unix: socketPath });
    return reply.ok;
  } catch {
    return false;
  }
};

const dockerd = async (
  kind: "docker20" | "docker28",
  world: Isolation,
  base: string,
): Promise<StartedEngine> => {
  const socketPath = `${base}/docker.sock`;
  const log = Bun.file(`${base}/dockerd.log`);
  writeFileSync(`${base}/daemon.json`, "{}");
  const began = performance.now();
  let [readyMs, listMs] = [0, 0];
  const child = Bun.spawn(
    [
      ...world.enter,
      "/usr/sbin/dockerd",
      "--host",
      `unix://${socketPath}`,
      "--data-root",
      `${base}/data`,
      "--exec-root",
      `${base}/exec`,
      "--pidfile",
      `${base}/docker.pid`,
      "--cgroup-parent",
      `/${base.split("/").pop() ?? kind}`,
      "--storage-driver",
      "overlay2",
      "--config-file",
      `${base}/daemon.json`,
    ],
    { stdin: "ignore", stdout: log, stderr: log, env: { PATH: process.env["PATH"], HOME: base } },
  );
  const stop = async (): Promise<readonly string[]> => {
    child.kill("SIGTERM");
    await Promise.race([child.exited, Bun.sleep(20_000)]);
    child.kill("SIGKILL");
    await world.stop();
    await run(["rm", "-rf", base]);
    return [];
  };
  try {
    await until(
      `${kind} to answer (log: ${base}/dockerd.log)`,
      async () => {
        if (child.exitCode !== null) throw new Error(`${kind} ended: ${await log.text()}`);
        return answers(socketPath);
      },
      60_000,
      5,
    );
    readyMs = performance.now() - began;
    await (await fetch("http://docker/containers/json", { unix: socketPath })).text();
    listMs = performance.now() - began;
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kind,
    host: `unix://${socketPath}`,
    hostIp: world.hostIp,
    enter: world.enter,
    dataRoot: `${base}/data`,
    pid: child.pid,
    readyMs,
    listMs,
    stop,
  };
};

const newBase = (kind: string): string => {
  mkdirSync("/var/tmp/naru-peers", { recursive: true });
  return mkdtempSync(`/var/tmp/naru-peers/${kind}-`);
};

/** Docker 20.10 of Debian 12 (`docker.io`). */
export const startDocker20 = async (): Promise<StartedEngine> => {
  if (!hasDocker20()) throw new Error("docker20: /usr/sbin/dockerd is missing (apt docker.io)");
  return dockerd("docker20", await isolate(), newBase("docker20"));
};

/** Docker 28.5 of Debian unstable, brought by `bench/peers/bring.ts`. */
export const startDocker28 = async (): Promise<StartedEngine> => {
  if (!hasDocker28()) throw new Error(`docker28: ${SID_ROOT} is missing: bun bench/peers/bring.ts`);
  const base = newBase("docker28");
  try {
    const world = await isolate({ root: SID_ROOT, binds: [base] });
    return await dockerd("docker28", world, base);
  } catch (error) {
    rmSync(base, { recursive: true, force: true });
    throw error;
  }
};
