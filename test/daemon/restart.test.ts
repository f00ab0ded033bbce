/** The daemon goes and comes back: containers run on, and what happened meanwhile is known. */
import { expect } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";

import { hijack } from "../harness/http.ts";
import { until } from "../harness/process.ts";
import { IMAGE, openWorld, type Daemon, type State } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const ended = (daemon: Daemon, name: string): Promise<State> =>
  until(`the end of ${name}`, async () => {
    const state = await daemon.state(name);
    return state?.Status === "exited" && state;
  });

const parentOf = (pid: number): number =>
  Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/root/proc`);

const isServed = async (): Promise<boolean> => {
  const page = `http://${world.isolation.hostIp}:8090/page`;
  return fetch(page, { keepalive: false }).then(
    (response) => response.ok,
    () => false,
  );
};

/** SIGKILL; never to 0, which is this test's own group. */
const end = (pid: number | undefined): void => {
  if (pid === undefined || pid <= 1) throw new Error(`no process to end: ${pid}`);
  process.kill(pid, "SIGKILL");
};

/** Asks a published port again and again; counts what went wrong. */
const watchPort = (port: number): { stop(): Promise<{ asked: number; failed: string[] }> } => {
  const failed: string[] = [];
  let asked = 0;
  let isOver = false;
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      asked += 1;
      let answer = "";
      const socket = net.connect({ host: world.isolation.hostIp, port });
      socket.setTimeout(30_000, () => socket.destroy(new Error("silent for 30 s")));
      socket.on("data", (part) => (answer += part.toString()));
      socket.on("error", (error) => failed.push(error.message));
      socket.on("close", () => {
        if (!answer.includes("served")) failed.push(`answer: ${answer}`);
        resolve();
      });
      socket.write("GET /page HTTP/1.0\r\n\r\n");
    });
  const loop = (async () => {
    while (!isOver) {
      await ask();
      await Bun.sleep(2);
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await loop;
      return { asked, failed };
    },
  };
};

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  scenario(
    `${signal}: running containers are taken over, and their port serves without a gap`,
    async () => {
      const roots = world.roots(signal);
      const first = await world.start(roots);
      await first.loadImage();
      await first.up(
        "talk",
        [],
        "sh",
        "-c",
        "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done",
      );
      await first.up("echo", ["-i"], "sh", "-c", 'while read line; do echo "heard $line"; done');
      await first.up(
        "web",
        ["-p", "8090:80"],
        "sh",
        "-c",
        "echo served >/tmp/page; exec httpd -f -p 80 -h /tmp",
      );
      await until("the page", isServed);
      const watch = watchPort(8090);
      const names = ["talk", "echo", "web"];
      const before = await Promise.all(names.map((name) => first.state(name)));
      expect(await first.end(signal)).toBe(signal === "SIGTERM" ? 0 : 137);
      const daemon = await world.start(roots);
      const web = await watch.stop();
      expect(web.failed).toEqual([]);
      expect(web.asked).toBeGreaterThan(5);
      expect(await Promise.all(names.map((name) => daemon.state(name)))).toEqual(before);
      expect(
        (await daemon.dockerOk("ps", "--format", "{{.Names}}")).split("\n").toSorted(),
      ).toEqual(names.toSorted());
      // The log has every line once, written while nobody was there.
      const last = (text: string): number => Number(text.trim().split(" ").at(-1));
      const count = last(await daemon.dockerOk("logs", "--tail", "1", "talk"));
      await until(
        "more lines",
        async () => last(await daemon.dockerOk("logs", "--tail", "1", "talk")) > count + 2,
      );
      const all = (await daemon.dockerOk("logs", "talk")).split("\n");
      expect(all).toEqual(all.map((_, index) => `line ${index}`));
      const attached = await hijack(
        roots.socketPath,
        "POST",
        "/containers/echo/attach?stream=1&stdin=1&stdout=1",
      );
      expect(attached.status).toBe(101);
      attached.write("me\n");
      await attached.waitFor("heard me");
      attached.destroy();
      expect(await daemon.dockerOk("exec", "talk", "echo", "inside")).toBe("inside");
      expect(await daemon.dockerOk("top", "web")).toContain("httpd");
      expect(await daemon.dockerOk("stop", "-t", "0", "talk", "echo", "web")).toBe(
        "talk\necho\nweb",
      );
      expect((await daemon.state("talk"))?.ExitCode).toBe(137);
      expect(await isServed()).toBe(false);
      await daemon.dockerOk("start", "web");
      await until("the page again", isServed);
      await daemon.dockerOk("rm", "-f", ...names);
    },
  );
}

scenario(
  "what ended while the daemon was dead: true exit code and time, --rm is gone",
  async () => {
    const roots = world.roots("ended");
    const first = await world.start(roots);
    await first.loadImage();
    const gate = `${roots.base}/gate`;
    const script = (code: string): string[] => [
      "sh",
      "-c",
      `until test -e ${gate}; do sleep 0.02; done; ${code}`,
    ];
    const mount = ["-v", `${roots.base}:${roots.base}:ro`];
    await first.up("seven", mount, ...script("exit 7"));
    await first.up("killed", mount, ...script("sleep 600"));
    await first.up("removed", ["--rm", ...mount], ...script("exit 0"));
    await first.up("stays", [], "sleep", "600");
    const pids = await Promise.all(
      ["seven", "killed", "removed"].map(async (name) => (await first.state(name))?.Pid ?? 0),
    );
    // conmon sees the end a moment after the process, and ends itself.
    const monitors = pids.map(parentOf);
    await first.end("SIGKILL");
    const from = Date.now();
    writeFileSync(gate, "");
    // Its own first process is shielded from its own signals, not from the host's.
    end(pids[1]);
    await until("their ends", () => [...pids, ...monitors].every((pid) => !isAlive(pid)));
    const to = Date.now();
    await Bun.sleep(1000);
    const daemon = await world.start(roots);
    for (const [name, code] of [
      ["seven", 7],
      ["killed", 137],
    ] as const) {
      const state = await ended(daemon, name);
      expect([name, state.ExitCode]).toEqual([name, code]);
      const at = Date.parse(state.FinishedAt);
      // Not when the daemon came back.
      expect(at).toBeGreaterThanOrEqual(from - 20);
      expect(at).toBeLessThanOrEqual(to + 500);
    }
    await until("the removal", async () => (await daemon.state("removed")) === undefined);
    expect((await daemon.state("stays"))?.Running).toBe(true);
    const dies = await daemon.dockerOk(
      "events",
      "--since",
      String(Math.floor(from / 1000) - 1),
      "--until",
      String(Math.floor(Date.now() / 1000) + 1),
      "--filter",
      "event=die",
      "--format",
      "{{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}",
    );
    expect(dies.split("\n").toSorted()).toEqual(["killed 137", "removed 0", "seven 7"]);
  },
);

scenario("restart policies resume after kill -9", async () => {
  const roots = world.roots("policies");
  const first = await world.start(roots);
  await first.loadImage();
  const gate = `${roots.base}/gate`;
  // Ends with the code given once the gate is open and the daemon away; a second run stays up.
  const once = (code: number): string[] => [
    "sh",
    "-c",
    `test -e ${gate} && exec sleep 600; echo waits; until test -e ${gate}; do sleep 0.02; done; exit ${code}`,
  ];
  const mount = ["-v", `${roots.base}:${roots.base}:ro`];
  const make = (name: string, policy: string, code: number): Promise<void> =>
    first.up(name, ["--restart", policy, ...mount], ...once(code));
  await make("always", "always", 0);
  await make("unless", "unless-stopped", 0);
  await make("fails", "on-failure", 3);
  await make("succeeds", "on-failure", 0);
  await make("none", "no", 3);
  await make("stopped-always", "always", 0);
  await make("stopped-unless", "unless-stopped", 0);
  await first.dockerOk("stop", "-t", "0", "stopped-always", "stopped-unless");
  const running = ["always", "unless", "fails", "succeeds", "none"];
  const pids = await Promise.all(running.map(async (name) => (await first.state(name))?.Pid ?? 0));
  for (const name of running) {
    await until(`${name} waits`, async () => (await first.dockerOk("logs", name)) === "waits");
  }
  await first.end("SIGKILL");
  writeFileSync(gate, "");
  await until("their ends", () => pids.every((pid) => !isAlive(pid)));
  const daemon = await world.start(roots);
  const comeBack = ["always", "unless", "fails", "stopped-always"];
  await until("those that come back", async () => {
    const states = await Promise.all(comeBack.map((name) => daemon.state(name)));
    // conmon may be slow to tell an end: a run that was there before does not count.
    return states.every((state) => state?.Status === "running" && !pids.includes(state.Pid));
  });
  for (const [name, code] of [
    ["succeeds", 0],
    ["none", 3],
    ["stopped-unless", 137],
  ] as const) {
    const state = await ended(daemon, name);
    expect([name, state.Status, state.ExitCode]).toEqual([name, "exited", code]);
  }
  // A policy is at work after the restart as well.
  const pid = (await daemon.state("always"))?.Pid ?? 0;
  end(pid);
  await until("another run", async () => {
    const state = await daemon.state("always");
    return state?.Status === "running" && state.Pid !== pid;
  });
  expect(await daemon.dockerOk("run", "--rm", IMAGE, "echo", "usable")).toBe("usable");
});

nothingIsLeft();
