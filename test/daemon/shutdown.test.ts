/** SIGTERM: streams without an end are ended, requests under way are waited for, and not for ever. */
import { expect } from "bun:test";
import net from "node:net";

import { api, hijack, open } from "../harness/http.ts";
import { run, until } from "../harness/process.ts";
import { clientBinary } from "../harness/client-binary.ts";
import { IMAGE, openWorld, type Daemon } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

/** Ends the daemon by SIGTERM; its exit code and how long it took. */
const stop = async (daemon: Daemon): Promise<{ code: number; ms: number }> => {
  const begin = performance.now();
  const code = await daemon.end("SIGTERM");
  return { code, ms: performance.now() - begin };
};

/** A docker client that runs until its stream ends. */
const follow = (daemon: Daemon, ...args: string[]): Promise<{ code: number; stdout: string }> =>
  run([clientBinary(), "-H", `unix://${daemon.roots.socketPath}`, ...args], { timeoutMs: 200_000 });

/** `docker logs -f`, and what it has shown so far. */
const logsOf = (
  daemon: Daemon,
  name: string,
): { text(): string; readonly ended: Promise<{ code: number; stdout: string }> } => {
  const host = `unix://${daemon.roots.socketPath}`;
  const child = Bun.spawn([clientBinary(), "-H", host, "logs", "-f", name], { stdout: "pipe" });
  let text = "";
  const read = (async () => {
    for await (const part of child.stdout) text += Buffer.from(part).toString();
  })();
  const ended = read.then(async () => ({ code: await child.exited, stdout: text }));
  return { text: () => text, ended };
};

/** So many containers have been sent the signal of a stop. */
const signalled = (daemon: Daemon, count: number): Promise<unknown> =>
  until("the signal of stop", async () => {
    const span = ["--since", "1h", "--until", String(Math.floor(Date.now() / 1000) + 1)];
    const format = ["--filter", "event=kill", "--format", "{{.Action}}"];
    const out = await daemon.dockerOk("events", ...span, ...format);
    return out.split("\n").filter((line) => line === "kill").length >= count;
  });

/** A stop that waited for something would wait this long. */
const PATIENT = ["--shutdown-timeout", "180"];

const chatter = ["sh", "-c", "while :; do echo tick; sleep 0.02; done"];

scenario(
  "attach, exec, logs -f, events, stats and wait end at once; containers run on",
  async () => {
    const roots = world.roots("streams");
    const daemon = await world.start(roots, { flags: PATIENT });
    await daemon.loadImage();
    await daemon.up("talk", ["-t"], ...chatter);
    await daemon.up("plain", [], ...chatter);
    const followed = logsOf(daemon, "plain");
    await until("its log", () => followed.text().includes("tick"));
    const clients = [
      follow(daemon, "attach", "--no-stdin", "talk"),
      follow(daemon, "attach", "--no-stdin", "plain"),
      followed.ended,
      follow(daemon, "events"),
      follow(daemon, "stats"),
      follow(daemon, "exec", "talk", ...chatter),
      follow(daemon, "wait", "plain"),
      follow(daemon, "run", "--name", "front", IMAGE, ...chatter),
    ];
    const raw = await hijack(
      roots.socketPath,
      "POST",
      "/containers/talk/attach?stream=1&stdin=1&stdout=1",
    );
    await raw.waitFor("tick");
    await until("the container in front", async () => (await daemon.state("front"))?.Running);
    await until(
      "the exec",
      async () => (await daemon.dockerOk("top", "talk")).split("tick").length > 2,
    );
    const pid = (await daemon.state("talk"))?.Pid;
    const { code, ms } = await stop(daemon);
    expect(code).toBe(0);
    // Nothing here is worth the wait of the shutdown-timeout.
    expect(ms).toBeLessThan(60_000);
    const results = await Promise.all(clients);
    // A client that waited for an end did not see one.
    expect(results.at(-2)?.code).not.toBe(0);
    expect(results.at(-1)?.code).toBe(125);
    await raw.rest();
    const next = await world.start(roots);
    expect((await next.state("talk"))?.Pid).toBe(pid ?? 0);
    expect((await next.state("front"))?.Running).toBe(true);
    expect(next.log()).toBe("");
    await next.dockerOk("rm", "-f", "talk", "plain", "front");
  },
);

scenario("a client that never closes its side does not hold the shutdown", async () => {
  const roots = world.roots("stuck");
  const daemon = await world.start(roots, { flags: PATIENT });
  await daemon.loadImage();
  await daemon.up("talk", [], ...chatter);
  // It neither reads nor closes.
  const deaf = net.connect({ path: roots.socketPath, allowHalfOpen: true });
  deaf.pause();
  deaf.write(
    "POST /containers/talk/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n",
  );
  const mute = net.connect({ path: roots.socketPath, allowHalfOpen: true });
  mute.write("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
  await Bun.sleep(200);
  const { code, ms } = await stop(daemon);
  expect(code).toBe(0);
  expect(ms).toBeLessThan(60_000);
  deaf.destroy();
  mute.destroy();
});

scenario(
  "a request under way is answered; shutdown-timeout bounds one that takes longer",
  async () => {
    const roots = world.roots("grace");
    const daemon = await world.start(roots, { flags: ["--shutdown-timeout", "5"] });
    await daemon.loadImage();
    await daemon.up(
      "slow",
      [],
      "sh",
      "-c",
      "trap 'sleep 0.5; exit 9' TERM; echo up; while :; do sleep 0.05; done",
    );
    await until("the trap", async () => (await daemon.dockerOk("logs", "slow")) === "up");
    await daemon.up("never", [], "sh", "-c", "trap '' TERM; sleep 600");
    const stopping = api(roots.socketPath, "POST", "/containers/slow/stop?t=100");
    await signalled(daemon, 1);
    const never = api(roots.socketPath, "POST", "/containers/never/stop?t=600").catch(
      () => undefined,
    );
    await signalled(daemon, 2);
    const { code, ms } = await stop(daemon);
    expect((await stopping).status).toBe(204);
    expect(await never).toBeUndefined();
    expect(code).toBe(0);
    // It was waited for as long as was said.
    expect(ms).toBeGreaterThan(4_500);
    expect(ms).toBeLessThan(60_000);
    const next = await world.start(roots);
    expect((await next.state("slow"))?.ExitCode).toBe(9);
    expect((await next.state("never"))?.Running).toBe(true);
    await next.dockerOk("rm", "-f", "never");
  },
);

scenario(
  "new connections are refused while it stops, and a second signal ends it at once",
  async () => {
    const roots = world.roots("twice");
    const daemon = await world.start(roots);
    await daemon.loadImage();
    await daemon.up("never", [], "sh", "-c", "trap '' TERM; sleep 600");
    const never = api(roots.socketPath, "POST", "/containers/never/stop?t=600").catch(
      () => undefined,
    );
    await signalled(daemon, 1);
    daemon.signal("SIGTERM");
    await until("the first signal", () => daemon.log().includes("stopping"));
    await until("a closed door", () =>
      open(roots.socketPath, "GET", "/_ping").then(
        () => false,
        () => true,
      ),
    );
    expect(await daemon.end("SIGINT")).toBe(1);
    expect(daemon.log()).toContain("left at once: SIGINT came again");
    await never;
    const next = await world.start(roots);
    expect((await next.state("never"))?.Running).toBe(true);
    await next.dockerOk("rm", "-f", "never");
  },
);

nothingIsLeft();
