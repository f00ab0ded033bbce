/** The daemon killed at any instant, its monitors killed, its disk full. */
import { expect, test } from "bun:test";

import { BUSYBOX_CONFIG, busyboxRoot, dockerArchive } from "../harness/images.ts";
import { must, until } from "../harness/process.ts";
import { writeTar } from "../harness/tar.ts";
import {
  ended,
  IMAGE,
  isAlive,
  monitorsOf,
  parentOf,
  withWorld,
  type CrashWorld,
} from "./world.ts";
import { startRegistry } from "./registry.ts";

const logs = async (w: CrashWorld, name: string): Promise<string> =>
  (await w.cli("logs", name)).stdout;

test("kill -9: containers run on, the same processes, logs without a gap, exec, stop", async () => {
  await withWorld(async (w) => {
    const script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";
    const before = await w.up("box", "sh", "-c", script);
    await w.up("two", "sh", "-c", "trap 'exit 6' TERM; echo up; while :; do sleep 0.1; done");
    await until("the trap", async () => (await logs(w, "two")) === "up\n");
    await w.kill();
    await Bun.sleep(1_000);
    expect(isAlive(before.Pid)).toBe(true);
    await w.start();
    expect(await w.state("box")).toMatchObject({ Running: true, Pid: before.Pid });
    const numbers = await until("more lines", async () => {
      const all = (await logs(w, "box")).trim().split("\n").map(Number);
      return all.length > 15 && all;
    });
    expect(numbers.every((value, index) => value === index + 1)).toBe(true);
    expect((await w.cli("exec", "box", "echo", "in")).stdout).toBe("in\n");
    expect((await w.api("POST", "/containers/two/stop?t=100")).status).toBe(204);
    expect((await ended(w, "two")).ExitCode).toBe(6);
  });
}, 400_000);

test("kill -9 with monitors that were loaded before: they end too, and their containers start", async () => {
  await withWorld(async (w) => {
    await w.up("first", "true");
    const waiting = (): string[] => monitorsOf(w.roots.execRoot);
    await ended(w, "first");
    await w.api("DELETE", "/containers/first");
    await until("a monitor that is loaded before", () => waiting().length > 0);
    await w.create("reserved", "sh", "-c", "sleep 600");
    await w.kill();
    await until("the end of the monitors", () => waiting().length === 0);
    await w.start();
    expect((await w.api("POST", "/containers/reserved/start")).status).toBe(204);
    expect((await w.cli("exec", "reserved", "echo", "in")).stdout).toBe("in\n");
    // Left waiting on purpose, with a daemon that dies without a word: the reset finds them.
    await until("another monitor", () => waiting().length > 1);
  });
}, 90_000);

test("SIGTERM: the same, and no restart is counted", async () => {
  await withWorld(async (w) => {
    const before = await w.up("box", "sleep", "600");
    await w.stop();
    expect(isAlive(before.Pid)).toBe(true);
    await w.start();
    expect(await w.state("box")).toMatchObject({ Running: true, Pid: before.Pid });
  });
}, 400_000);

test("a container that ends while the daemon is dead: its true code and time", async () => {
  await withWorld(async (w) => {
    const box = await w.up("box", "sh", "-c", "sleep 2; exit 42");
    const { Pid } = await w.up("killed", "sleep", "600");
    const monitors = [box.Pid, Pid].map(parentOf);
    await w.kill();
    process.kill(Pid, "SIGKILL");
    await until("their ends", () => !monitors.some(isAlive));
    const over = Date.now();
    await Bun.sleep(1_500);
    await w.start();
    const state = await ended(w, "box");
    expect(state.ExitCode).toBe(42);
    // When it ended, not when the daemon came back.
    expect(Date.parse(state.FinishedAt)).toBeLessThan(over + 500);
    expect(Date.parse(state.FinishedAt)).toBeGreaterThan(Date.parse(state.StartedAt) + 1_000);
    expect((await ended(w, "killed")).ExitCode).toBe(137);
  });
}, 400_000);

test("a wait that was lost can be asked again", async () => {
  await withWorld(async (w) => {
    await w.up("box", "sh", "-c", "sleep 1.5; exit 7");
    const lost = w.attempt("POST", "/containers/box/wait");
    await Bun.sleep(100);
    await w.kill();
    await lost;
    await w.start();
    const reply = await w.api("POST", "/containers/box/wait");
    expect(reply.json<{ StatusCode: number }>().StatusCode).toBe(7);
  });
}, 400_000);

test("restart policies are kept: always restarts what ended meanwhile, no does not", async () => {
  await withWorld(async (w) => {
    for (const [name, policy] of [
      ["always", "always"],
      ["plain", "no"],
    ] as const) {
      const reply = await w.api("POST", `/containers/create?name=${name}`, {
        body: {
          Image: IMAGE,
          Cmd: ["sh", "-c", "sleep 1"],
          HostConfig: { RestartPolicy: { Name: policy } },
        },
      });
      expect(reply.status).toBe(201);
      await w.api("POST", `/containers/${name}/start`);
    }
    await w.kill();
    await Bun.sleep(2_000);
    await w.start();
    await until("a new run", async () => (await w.state("always"))?.Running === true);
    expect((await ended(w, "plain")).Status).toBe("exited");
    await w.api("DELETE", "/containers/always?force=1");
  });
}, 400_000);

test("--rm containers that end while the daemon is dead are removed", async () => {
  await withWorld(async (w) => {
    await w.cli("run", "-d", "--rm", "--name", "box", IMAGE, "sleep", "1");
    await w.kill();
    await Bun.sleep(2_000);
    await w.start();
    await until("its removal", async () => (await w.state("box")) === undefined);
  });
}, 400_000);

test("published ports work through and after the death", async () => {
  await withWorld(async (w) => {
    const reply = await w.api("POST", "/containers/create?name=web", {
      body: {
        Image: IMAGE,
        Cmd: ["sh", "-c", "echo page > /index.html; httpd -f -p 80 -h /"],
        ExposedPorts: { "80/tcp": {} },
        HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "8080" }] } },
      },
    });
    expect(reply.status).toBe(201);
    await w.api("POST", "/containers/web/start");
    const page = async (): Promise<string> =>
      (await fetch(`http://${w.world.hostIp}:8080/index.html`)).text();
    await until("the page", () => page().catch(() => undefined));
    await w.kill();
    expect(await page()).toBe("page\n");
    await w.start();
    expect(await page()).toBe("page\n");
    await w.api("DELETE", "/containers/web?force=1");
    const again = await w.cli("run", "-d", "--name", "other", "-p", "8080:80", IMAGE, "sleep", "9");
    expect(again.code).toBe(0);
  });
}, 400_000);

test("a killed monitor: the container is seen as ended, others are untouched", async () => {
  await withWorld(async (w) => {
    const other = await w.up("other", "sleep", "600");
    const { Pid } = await w.up("box", "sleep", "600");
    process.kill(parentOf(Pid), "SIGKILL");
    await ended(w, "box");
    await until("the end of its process", () => !isAlive(Pid));
    expect(await w.state("other")).toMatchObject({ Running: true, Pid: other.Pid });
    expect((await w.api("POST", "/containers/box/start")).status).toBe(204);
    expect((await w.cli("exec", "box", "echo", "back")).stdout).toBe("back\n");
  });
}, 400_000);

test("a monitor killed while the daemon is dead", async () => {
  await withWorld(async (w) => {
    const { Pid } = await w.up("box", "sleep", "600");
    await w.kill();
    process.kill(parentOf(Pid), "SIGKILL");
    await w.start();
    await ended(w, "box");
    await until("the end of its process", () => !isAlive(Pid));
    expect((await w.api("POST", "/containers/box/start")).status).toBe(204);
  });
}, 400_000);

test("a daemon that starts while conmon has yet to write how its container ended waits for it", async () => {
  await withWorld(async (w) => {
    const { Pid } = await w.up("box", "sleep", "600");
    const monitor = parentOf(Pid);
    await w.kill();
    process.kill(monitor, "SIGSTOP");
    process.kill(Pid, "SIGKILL");
    const starting = w.start();
    await Bun.sleep(300);
    process.kill(monitor, "SIGCONT");
    await starting;
    expect((await ended(w, "box")).ExitCode).toBe(137);
  });
}, 400_000);

test("a machine that lost all processes (as after a boot): ended, startable", async () => {
  await withWorld(async (w) => {
    const { Pid } = await w.up("box", "sleep", "600");
    const monitor = parentOf(Pid);
    await w.kill();
    for (const pid of [monitor, Pid]) process.kill(pid, "SIGKILL");
    await w.start();
    await ended(w, "box");
    expect((await w.api("POST", "/containers/box/start")).status).toBe(204);
  });
}, 400_000);

test("killed 12 times while six workers run containers: converges, nothing is left", async () => {
  await withWorld(async (w) => {
    let isOver = false;
    let count = 0;
    const worker = async (number: number): Promise<void> => {
      while (!isOver) {
        const name = `w${number}-${(count += 1)}`;
        const body = { Image: IMAGE, Cmd: ["sh", "-c", "sleep 0.1; exit 4"] };
        await w.attempt("POST", `/containers/create?name=${name}`, { body });
        await w.attempt("POST", `/containers/${name}/start`);
        if (number % 2 === 0) await w.attempt("DELETE", `/containers/${name}?force=1`);
        await Bun.sleep(5);
      }
    };
    const workers = Array.from({ length: 6 }, (_, number) => worker(number));
    for (let round = 0; round < 12; round += 1) {
      await Bun.sleep(150 + Math.random() * 400);
      await w.kill();
      await w.start();
    }
    isOver = true;
    await Promise.all(workers);
    const list = (await w.api("GET", "/containers/json?all=1")).json<{ Id: string }[]>();
    for (const { Id } of list) {
      const state = await ended(w, Id);
      if (state.Status === "exited") expect([4, 137]).toContain(state.ExitCode);
      expect((await w.api("DELETE", `/containers/${Id}`)).status).toBe(204);
    }
    expect((await w.api("GET", "/containers/json?all=1")).json<unknown[]>()).toEqual([]);
  });
}, 400_000);

test("disk full: a load fails in words, the engine lives, room again when removed", async () => {
  await withWorld(
    async (w) => {
      const big = writeTar([{ name: "big", body: Buffer.alloc(120 << 20, 3) }]);
      const raw = dockerArchive(["big:1"], [writeTar(await busyboxRoot()), big], BUSYBOX_CONFIG);
      const reply = await w.attempt("POST", "/images/load?quiet=1", { raw });
      expect(reply?.text ?? "").toMatch(/no space left|disk is full|ENOSPC/i);
      expect((await w.api("GET", "/images/big:1/json")).status).toBe(404);
      await must(["true"]);
      const out = await w.cli("run", "--rm", IMAGE, "echo", "still");
      expect(out.stdout).toBe("still\n");
    },
    { dataMiB: 64 },
  );
}, 400_000);

test("disk full: a pull fails in words and leaves nothing; a smaller one works", async () => {
  await withWorld(
    async (w) => {
      const registry = await startRegistry(w);
      const pull = (tag: string) =>
        w.api("POST", `/images/create?fromImage=${registry.host}/crash/image&tag=${tag}`);
      const before = (await w.api("GET", "/images/json")).json<unknown[]>().length;
      const big = await pull("big");
      expect(big.text).toMatch(/no space left|disk is full|ENOSPC/i);
      expect((await w.api("GET", "/images/json")).json<unknown[]>()).toHaveLength(before);
      expect((await pull("1")).text).toContain("Downloaded newer image");
      expect((await w.api("DELETE", `/images/${registry.host}/crash/image:1`)).status).toBe(200);
      await registry.stop();
    },
    { dataMiB: 64 },
  );
}, 400_000);

test("disk filled by a container: the API answers, ends are recorded, rm gives the room back", async () => {
  await withWorld(
    async (w) => {
      await w.up("filler", "sh", "-c", "dd if=/dev/zero of=/fill bs=1M; sync; exec sleep 600");
      await until("a full disk", async () => {
        const out = await w.world.exec(["df", "--output=avail", w.roots.dataRoot]);
        return Number(out.stdout.trim().split("\n")[1]) < 64;
      });
      expect((await w.api("GET", "/containers/json")).status).toBe(200);
      expect((await w.state("filler"))?.Running).toBe(true);
      expect((await w.api("DELETE", "/containers/filler?force=1")).status).toBe(204);
    },
    { dataMiB: 64 },
  );
}, 400_000);

test("disk full, then killed: it starts again", async () => {
  await withWorld(
    async (w) => {
      await w.up("filler", "sh", "-c", "dd if=/dev/zero of=/fill bs=1M; exec sleep 600");
      await until("a full disk", async () => {
        const out = await w.world.exec(["df", "--output=avail", w.roots.dataRoot]);
        return Number(out.stdout.trim().split("\n")[1]) < 64;
      });
      await w.kill();
      await w.start();
      expect((await w.api("DELETE", "/containers/filler?force=1")).status).toBe(204);
    },
    { dataMiB: 64 },
  );
}, 400_000);
