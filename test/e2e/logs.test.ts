/** `logs`: follow, tail, since, until, timestamps, streams, drivers. */
import { expect } from "bun:test";
import { readdirSync } from "node:fs";
import { dirname } from "node:path";

import { BUSYBOX, check, docker, dockerOk, field, until } from "../harness/check.ts";
import { dockerBackground } from "../harness/client.ts";

const ended = async (name: string): Promise<string> => {
  await dockerOk("wait", name);
  return name;
};

check("stdout and stderr come on their own streams", async (t) => {
  const name = await ended(await t.up(BUSYBOX, "sh", "-c", "echo out; echo err >&2"));
  const out = await docker(["logs", name]);
  expect([out.stdout, out.stderr]).toEqual(["out\n", "err\n"]);
});

check("order within a stream and completeness of 50,000 lines", async (t) => {
  const name = await ended(await t.up(BUSYBOX, "seq", "1", "50000"));
  const lines = (await docker(["logs", name])).stdout.trim().split("\n");
  expect(lines.length).toBe(50_000);
  expect(lines.every((line, index) => line === String(index + 1))).toBe(true);
});

check("--tail N, 0, all, more than there are", async (t) => {
  const name = await ended(await t.up(BUSYBOX, "seq", "1", "30"));
  const tail = async (count: string): Promise<string> =>
    (await docker(["logs", "--tail", count, name])).stdout;
  expect(await tail("3")).toBe("28\n29\n30\n");
  expect(await tail("0")).toBe("");
  expect((await tail("all")).split("\n").length).toBe(31);
  expect((await tail("999")).split("\n").length).toBe(31);
});

check("--tail over both streams counts lines of both", async (t) => {
  const name = await ended(
    await t.up(BUSYBOX, "sh", "-c", "echo 1; sleep 0.1; echo 2 >&2; sleep 0.1; echo 3"),
  );
  const out = await docker(["logs", "--tail", "2", name]);
  expect([out.stdout, out.stderr]).toEqual(["3\n", "2\n"]);
});

check("-t: RFC 3339 with nanoseconds", async (t) => {
  const name = await ended(await t.up(BUSYBOX, "echo", "line"));
  expect((await docker(["logs", "-t", name])).stdout).toMatch(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line\n$/,
  );
});

check("--since and --until with times of the lines", async (t) => {
  const name = await ended(
    await t.up(BUSYBOX, "sh", "-c", "echo one; sleep 1.2; echo two; sleep 1.2; echo three"),
  );
  const stamps = (await docker(["logs", "-t", name])).stdout
    .trim()
    .split("\n")
    .map((line) => line.split(" ")[0] ?? "");
  const [, second = "", third = ""] = stamps;
  expect((await docker(["logs", "--since", second, name])).stdout).toBe("two\nthree\n");
  expect((await docker(["logs", "--until", second, name])).stdout).toMatch(/^one\n(two\n)?$/);
  expect(
    (
      await docker([
        "logs",
        "--since",
        second,
        "--until",
        new Date(Date.parse(third) - 100).toISOString(),
        name,
      ])
    ).stdout,
  ).toBe("two\n");
});

check("--since with a duration", async (t) => {
  const name = await ended(await t.up(BUSYBOX, "echo", "recent"));
  expect((await docker(["logs", "--since", "10m", name])).stdout).toBe("recent\n");
  await Bun.sleep(2_300);
  expect((await docker(["logs", "--since", "1s", name])).stdout).toBe("");
  expect((await docker(["logs", "--until", "10m", name])).stdout).toBe("");
});

check("--since with a wrong value is refused", async (t) => {
  const name = await t.create(BUSYBOX);
  const out = await docker(["logs", "--since", "nonsense", name]);
  expect(out.code).toBe(1);
});

check("-f ends when the container ends and has everything", async (t) => {
  const name = await t.up(BUSYBOX, "sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.2; done");
  const out = await docker(["logs", "-f", name]);
  expect(out.code).toBe(0);
  expect(out.stdout).toBe("1\n2\n3\n4\n5\n");
});

check("-f shows a line at once", async (t) => {
  const name = await t.up("-i", BUSYBOX, "cat");
  const client = dockerBackground("logs", "-f", name);
  const input = dockerBackground("attach", name);
  await Bun.sleep(400);
  void input.child.stdin.write("typed\n");
  await input.child.stdin.flush();
  await client.waitFor("typed", 5_000);
  await dockerOk("kill", name);
  expect(await client.exited).toBe(0);
});

check("-f --tail 0 has only what is new", async (t) => {
  const script = "echo old; while [ ! -e /go ]; do sleep 0.1; done; echo new";
  const name = await t.up(BUSYBOX, "sh", "-c", script);
  await until("old", async () => (await docker(["logs", name])).stdout.includes("old"));
  const following = docker(["logs", "-f", "--tail", "0", name]);
  await Bun.sleep(1_000);
  await dockerOk("exec", name, "touch", "/go");
  expect((await following).stdout).toBe("new\n");
});

check("-f through a restart goes on or ends, and the log has both runs", async (t) => {
  const name = await t.up(BUSYBOX, "sh", "-c", "echo run; exec sleep 600");
  await until("run", async () => (await docker(["logs", name])).stdout.includes("run"));
  await dockerOk("restart", "-t", "0", name);
  await until("two runs", async () => (await docker(["logs", name])).stdout === "run\nrun\n");
});

check("logs of a container that never ran are empty", async (t) => {
  const name = await t.create(BUSYBOX, "echo", "x");
  const out = await docker(["logs", name]);
  expect([out.code, out.stdout]).toEqual([0, ""]);
});

check("logs of an unknown container", async () => {
  const out = await docker(["logs", "e2e-unknown"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/No such container: e2e-unknown/);
});

check("a line without an end is in the log", async (t) => {
  const name = await ended(await t.up(BUSYBOX, "printf", "partial"));
  expect((await docker(["logs", name])).stdout).toBe("partial");
});

check("a line of 100,000 characters stays one", async (t) => {
  const name = await ended(
    await t.up(BUSYBOX, "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo after"),
  );
  const lines = (await docker(["logs", name])).stdout.split("\n");
  expect(lines.map((line) => line.length)).toEqual([100_000, 5, 0]);
});

check("bytes that are no UTF-8 and control characters survive", async (t) => {
  const name = await ended(await t.up(BUSYBOX, "printf", "a\\001\\033[1mb\\tc \\303\\251\\n"));
  expect((await docker(["logs", name])).stdout).toBe("a\u0001\u001b[1mb\tc é\n");
});

check("a log of a terminal has CR LF", async (t) => {
  const name = await ended(await t.up("-t", BUSYBOX, "echo", "tty"));
  expect((await docker(["logs", name])).stdout).toBe("tty\r\n");
});

check("empty lines stay", async (t) => {
  const name = await ended(await t.up(BUSYBOX, "printf", "\\n\\na\\n\\n"));
  expect((await docker(["logs", name])).stdout).toBe("\n\na\n\n");
});

check("--details shows nothing more without labels or options", async (t) => {
  const name = await ended(await t.up(BUSYBOX, "echo", "x"));
  expect((await docker(["logs", "--details", name])).stdout.trim()).toBe("x");
});

check("the default driver is in inspect and info", async (t) => {
  const name = await t.create(BUSYBOX);
  expect(await field(name, "{{.HostConfig.LogConfig.Type}}")).toBe(
    await dockerOk("info", "--format", "{{.LoggingDriver}}"),
  );
});

check("--log-driver none has no log", async (t) => {
  const name = await ended(await t.up("--log-driver", "none", BUSYBOX, "echo", "x"));
  const out = await docker(["logs", name]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/does not support reading/i);
});

check("--log-driver json-file with options, and local", async (t) => {
  const name = await ended(
    await t.up(
      "--log-driver",
      "json-file",
      "--log-opt",
      "max-size=1m",
      "--log-opt",
      "max-file=2",
      BUSYBOX,
      "echo",
      "j",
    ),
  );
  expect((await docker(["logs", name])).stdout).toBe("j\n");
  expect(JSON.parse(await field(name, "{{json .HostConfig.LogConfig.Config}}"))).toEqual({
    "max-file": "2",
    "max-size": "1m",
  });
  const local = await ended(await t.up("--log-driver", "local", BUSYBOX, "echo", "l"));
  expect((await docker(["logs", local])).stdout).toBe("l\n");
});

check("max-size rotates: the newest lines stay, the size is bounded", async (t) => {
  const name = await ended(
    await t.up(
      "--log-driver",
      "json-file",
      "--log-opt",
      "max-size=20k",
      "--log-opt",
      "max-file=2",
      BUSYBOX,
      "seq",
      "1",
      "5000",
    ),
  );
  const lines = (await docker(["logs", name])).stdout.trim().split("\n");
  expect(lines.at(-1)).toBe("5000");
  expect(lines.length).toBeLessThan(2_000);
  expect(lines.length).toBeGreaterThan(20);
});

check("an unknown driver or option is refused", async (t) => {
  expect((await docker(["run", "--rm", "--log-driver", "nosuch", BUSYBOX, "true"])).code).toBe(125);
  const out = await docker(["create", "--name", t.name(), "--log-opt", "nosuch=1", BUSYBOX]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/nosuch/);
});

check("exec output is not in the log", async (t) => {
  const name = await t.up(BUSYBOX, "sh", "-c", "echo main; exec sleep 600");
  await dockerOk("exec", name, "echo", "from exec");
  expect((await docker(["logs", name])).stdout).toBe("main\n");
});

check(
  "compress: rotated files are gzip, and no line is lost when the container ends and starts",
  async (t) => {
    const name = t.name();
    const script =
      "i=0; while [ $i -lt 3000 ]; do echo line-$i-$(hostname); i=$((i+1)); done; sleep 2";
    const options = ["max-size=60k", "max-file=20", "compress=true"].flatMap((o) => [
      "--log-opt",
      o,
    ]);
    await dockerOk("run", "-d", "--name", name, "-h", "h", ...options, BUSYBOX, "sh", "-c", script);
    await dockerOk("wait", name);
    await dockerOk("start", name);
    await dockerOk("wait", name);
    const wanted = Array.from({ length: 3000 }, (_, i) => `line-${i}-h`);
    expect((await dockerOk("logs", name)).split("\n")).toEqual([...wanted, ...wanted]);
    expect((await dockerOk("logs", "--tail", "2", name)).split("\n")).toEqual(wanted.slice(-2));
    const folder = dirname(await field(name, "{{.LogPath}}"));
    await until("a compressed file", () => readdirSync(folder).some((one) => one.endsWith(".gz")));
    await dockerOk("rm", name);
  },
);
