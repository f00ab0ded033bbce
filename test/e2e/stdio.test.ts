/** Standard streams: piped input with half-close, terminals, `-a`, large and binary output. */
import { expect } from "bun:test";
import { createHash, randomBytes } from "node:crypto";

import { BUSYBOX, check, docker, dockerOk, skipOn, until } from "../harness/check.ts";
import { clientEnv, dockerBackground, dockerPty, type Terminal } from "../harness/client.ts";
import { naruBinary } from "../harness/naru.ts";

const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

check("-i: input reaches the process and its end ends it", async () => {
  const out = await docker(["run", "--rm", "-i", BUSYBOX, "cat"], { stdin: "one\ntwo\n" });
  expect(out.code).toBe(0);
  expect(out.stdout).toBe("one\ntwo\n");
});

check("-i: output after the end of input still arrives", async () => {
  const script = "cat >/dev/null; sleep 0.3; echo late";
  const out = await docker(["run", "--rm", "-i", BUSYBOX, "sh", "-c", script], { stdin: "x" });
  expect(out.stdout).toBe("late\n");
});

check("-i with empty input ends at once", async () => {
  const out = await docker(["run", "--rm", "-i", BUSYBOX, "wc", "-c"], { stdin: "" });
  expect(out.stdout.trim()).toBe("0");
});

check("without -i the process has no input", async () => {
  const out = await docker(["run", "--rm", BUSYBOX, "cat"], { stdin: "ignored" });
  expect(out.code).toBe(0);
  expect(out.stdout).toBe("");
});

check("binary safety: every byte value in and out", async () => {
  const bytes = Buffer.from(Array.from({ length: 256 * 64 }, (_, index) => index % 256));
  const out = await docker(["run", "--rm", "-i", BUSYBOX, "cat"], { stdin: bytes });
  expect(out.bytes.equals(bytes)).toBe(true);
});

check("8 MB through cat arrive whole", async () => {
  const bytes = randomBytes(8 * 1024 * 1024);
  const out = await docker(["run", "--rm", "-i", BUSYBOX, "cat"], { stdin: bytes });
  expect(out.bytes.length).toBe(bytes.length);
  expect(sha(out.bytes)).toBe(sha(bytes));
});

check("8 MB of input counted inside", async () => {
  const bytes = randomBytes(8 * 1024 * 1024);
  const out = await docker(["run", "--rm", "-i", BUSYBOX, "sha256sum"], { stdin: bytes });
  expect(out.stdout.split(" ")[0]).toBe(sha(bytes));
});

check("16 MB of output are complete, also at the very end", async () => {
  const script = "dd if=/dev/zero bs=1M count=16 2>/dev/null; echo end";
  const out = await docker(["run", "--rm", BUSYBOX, "sh", "-c", script]);
  expect(out.bytes.length).toBe(16 * 1024 * 1024 + 4);
  expect(out.bytes.subarray(-4).toString()).toBe("end\n");
});

check("100,000 short lines keep order and number", async () => {
  const out = await docker(["run", "--rm", BUSYBOX, "seq", "1", "100000"]);
  const lines = out.stdout.trim().split("\n");
  expect(lines.length).toBe(100_000);
  expect(lines[99_999]).toBe("100000");
  expect(lines[50_000]).toBe("50001");
});

check("a line without an end is output too", async () => {
  expect((await docker(["run", "--rm", BUSYBOX, "printf", "no newline"])).stdout).toBe(
    "no newline",
  );
});

check("-a stdout alone leaves stderr out", async () => {
  const script = "echo out; echo err >&2";
  const out = await docker(["run", "--rm", "-a", "stdout", BUSYBOX, "sh", "-c", script]);
  expect([out.stdout, out.stderr]).toEqual(["out\n", ""]);
});

check("-a stderr alone leaves stdout out", async () => {
  const script = "echo out; echo err >&2";
  const out = await docker(["run", "--rm", "-a", "stderr", BUSYBOX, "sh", "-c", script]);
  expect([out.stdout, out.stderr]).toEqual(["", "err\n"]);
});

check("-a stdin alone takes the input and shows nothing", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const args = ["run", "--name", name, "-a", "stdin", "-i", BUSYBOX, "sh", "-c", "cat > /got"];
  const out = await docker(args, { stdin: "piped" });
  expect(out.stdout).not.toContain("piped");
  await dockerOk("wait", name);
  const copied = await docker(["cp", `${name}:/got`, "-"]);
  expect(copied.stdout).toContain("piped");
});

check("-d with -a is refused", async () => {
  const out = await docker(["run", "-d", "-a", "stdout", BUSYBOX, "true"]);
  expect([1, 125]).toContain(out.code);
  expect(out.stderr).toMatch(/conflicting options/i);
});

check("-t: the process has a terminal and lines end in CR LF", async () => {
  const pty = dockerPty("run", "--rm", "-t", BUSYBOX, "sh", "-c", "tty; test -t 0 && echo yes");
  expect(await pty.exited).toBe(0);
  expect(pty.text()).toMatch(/\/dev\/pts\/0\r+\nyes\r+\n/);
});

check("-t: stdout and stderr are one stream", async () => {
  const out = await docker(["run", "--rm", "-t", BUSYBOX, "sh", "-c", "echo out; echo err >&2"]);
  expect(out.stdout).toBe("out\r\nerr\r\n");
  expect(out.stderr).toBe("");
});

check("-t sets TERM, -e TERM wins", async () => {
  const plain = await docker(["run", "--rm", "-t", BUSYBOX, "sh", "-c", "echo $TERM"]);
  expect(plain.stdout.trim()).toBe("xterm");
  const given = await docker([
    "run",
    "--rm",
    "-t",
    "-e",
    "TERM=vt100",
    BUSYBOX,
    "sh",
    "-c",
    "echo $TERM",
  ]);
  expect(given.stdout.trim()).toBe("vt100");
});

check("without -t there is no TERM", async () => {
  expect(await dockerOk("run", "--rm", BUSYBOX, "sh", "-c", "echo [$TERM]")).toBe("[]");
});

check("-it: typing reaches the shell and its code comes back", async () => {
  const pty = dockerPty("run", "--rm", "-it", BUSYBOX, "sh");
  await pty.waitFor("#");
  pty.write("echo $((40+2))\r");
  await pty.waitFor("42");
  pty.write("exit 9\r");
  expect(await pty.exited).toBe(9);
});

check("-it: the window size is the client's", async () => {
  const script = 'until stty size | grep "24 80"; do sleep 0.1; done';
  const pty = dockerPty("run", "--rm", "-it", BUSYBOX, "sh", "-c", script);
  expect(await pty.exited).toBe(0);
  expect(pty.text()).toContain("24 80");
});

check("-it: resizing the client's window reaches the process", async () => {
  const script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done";
  const pty = dockerPty("run", "--rm", "-it", BUSYBOX, "sh", "-c", script);
  await pty.waitFor("ready");
  // The client looks for new sizes a moment after the first output.
  await until(
    "the new size",
    () => {
      pty.resize(100, 33);
      pty.resize(101, 33);
      return pty.text().includes("33 101");
    },
    undefined,
    500,
  );
  pty.write("\x03");
  await pty.exited;
});

check("-it: Ctrl-C reaches the process, not the client", async () => {
  const script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.1; done";
  const pty = dockerPty("run", "--rm", "-it", BUSYBOX, "sh", "-c", script);
  await pty.waitFor("ready");
  pty.write("\x03");
  expect(await pty.exited).toBe(5);
  expect(pty.text()).toContain("caught");
});

check("-it: Ctrl-D ends the shell", async () => {
  const pty = dockerPty("run", "--rm", "-it", BUSYBOX, "sh", "-c", "echo ready; cat; echo over");
  await pty.waitFor("ready");
  pty.write("typed\r");
  await pty.waitFor("typed\r\ntyped");
  pty.write("\x04");
  expect(await pty.exited).toBe(0);
  expect(pty.text()).toContain("over");
});

check("-it with an input that is no terminal is refused by the client", async () => {
  const out = await docker(["run", "--rm", "-it", BUSYBOX, "true"], { stdin: "x" });
  expect(out.code).not.toBe(0);
  expect(out.stderr).toMatch(/not a TTY/i);
});

check("detach keys leave the container running and the client ends with 0", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const pty = dockerPty("run", "-it", "--name", name, BUSYBOX, "sh");
  await pty.waitFor("#");
  pty.write("\x10");
  await Bun.sleep(200);
  pty.write("\x11");
  expect(await pty.exited).toBe(0);
  expect(await dockerOk("inspect", "--format", "{{.State.Running}}", name)).toBe("true");
});

check("--detach-keys of one's own", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const pty = dockerPty("run", "-it", "--detach-keys", "ctrl-x,x", "--name", name, BUSYBOX, "sh");
  await pty.waitFor("#");
  pty.write("\x18");
  await Bun.sleep(200);
  pty.write("x");
  expect(await pty.exited).toBe(0);
  expect(await dockerOk("inspect", "--format", "{{.State.Running}}", name)).toBe("true");
});

check("an invalid --detach-keys is refused", async () => {
  const out = await docker(["run", "--rm", "--detach-keys", "ctrl-!!", "-it", BUSYBOX, "true"]);
  expect(out.code).not.toBe(0);
});

check("attach gives the output from now on and the exit code", async (t) => {
  const name = await t.up("-i", BUSYBOX, "sh", "-c", "read x; echo got $x; exit 4");
  const client = dockerBackground("attach", name);
  void client.child.stdin.write("word\n");
  await client.child.stdin.flush();
  await client.waitFor("got word");
  expect(await client.exited).toBe(4);
});

check("two clients attached both see the output", async (t) => {
  const script = "while :; do echo tick; sleep 0.1; done";
  const name = await t.up(BUSYBOX, "sh", "-c", script);
  const [one, two] = [dockerBackground("attach", name), dockerBackground("attach", name)];
  await Promise.all([one.waitFor("tick"), two.waitFor("tick")]);
  await dockerOk("kill", name);
  expect(await Promise.all([one.exited, two.exited])).toEqual([137, 137]);
});

check("attach, detach, attach again to one shell", async (t) => {
  const name = await t.up("-it", BUSYBOX, "sh");
  /** Attached: the shell answers, not the terminal of the client. */
  const prompted = (pty: Terminal): Promise<boolean> =>
    until(
      "a prompt",
      () => {
        pty.write("\r");
        return pty.text().includes("#");
      },
      undefined,
      500,
    );
  const first = dockerPty("attach", name);
  await prompted(first);
  first.write("V=kept\r");
  await first.waitFor("V=kept");
  first.write("\x10\x11");
  // Some clients call the escape an error (1), others an end (0).
  expect([0, 1]).toContain(await first.exited);
  const second = dockerPty("attach", name);
  await prompted(second);
  second.write("echo [$V]\r");
  await second.waitFor("[kept]");
  second.write("exit\r");
  expect(await second.exited).toBe(0);
});

check("attach to a stopped container is refused", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  const out = await docker(["attach", name]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/cannot attach to a stopped container/i);
});

check("attach --no-stdin does not take the input", async (t) => {
  const script = "while :; do echo tick; sleep 0.1; done";
  const name = await t.up("-i", BUSYBOX, "sh", "-c", script);
  const client = dockerBackground("attach", "--no-stdin", name);
  await client.waitFor("tick");
  await dockerOk("kill", name);
  expect(await client.exited).toBe(137);
});

check("--sig-proxy: a signal to the client reaches the process", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const script = "trap 'echo term; exit 6' TERM; echo ready; while :; do sleep 0.1; done";
  const client = dockerBackground("run", "--name", name, BUSYBOX, "sh", "-c", script);
  await client.waitFor("ready");
  client.child.kill("SIGTERM");
  expect(await client.exited).toBe(6);
  expect(client.text()).toContain("term");
});

check("--sig-proxy=false: the client ends alone", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const script = "trap 'exit 6' TERM; echo ready; while :; do sleep 0.1; done";
  const client = dockerBackground(
    "run",
    "--sig-proxy=false",
    "--name",
    name,
    BUSYBOX,
    "sh",
    "-c",
    script,
  );
  await client.waitFor("ready");
  client.child.kill("SIGHUP");
  await client.exited;
  expect(await dockerOk("inspect", "--format", "{{.State.Running}}", name)).toBe("true");
});

check("a client that dies does not take the container along", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";
  const client = dockerBackground("run", "--name", name, BUSYBOX, "sh", "-c", script);
  await client.waitFor("3");
  client.child.kill("SIGKILL");
  await client.exited;
  const before = (await dockerOk("logs", name)).length;
  await until("more", async () => (await dockerOk("logs", name)).length > before);
});

check("start -ai gives the shell its input", async (t) => {
  const name = await t.create("-i", BUSYBOX, "cat");
  const out = await docker(["start", "-ai", name], { stdin: "via start\n" });
  expect(out.stdout).toBe("via start\n");
  expect(out.code).toBe(0);
});

check("input closes after the first client (StdinOnce)", async (t) => {
  const name = await t.create("-i", BUSYBOX, "sh", "-c", "cat; echo closed");
  const out = await docker(["start", "-ai", name], { stdin: "a" });
  expect(out.stdout).toBe("aclosed\n");
});

check(
  "a slow reader gets everything",
  async () => {
    const client = Bun.spawn(
      ["sh", "-c", 'exec "$0" run --rm "$1" seq 1 200000 | (sleep 1; wc -l)', "docker", BUSYBOX],
      {
        stdout: "pipe",
        stderr: "pipe",
        env: { ...process.env, ...(await import("../harness/client.ts")).clientEnv },
      },
    );
    expect((await new Response(client.stdout).text()).trim()).toBe("200000");
  },
  { skip: skipOn("given", "drives a pipeline of its own") },
);

check("a process that ignores Ctrl-C lets its user of naru run go at the third", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const script = "trap '' INT TERM; echo ready; sleep 600";
  const client = Bun.spawn([naruBinary(), "run", "--name", name, BUSYBOX, "sh", "-c", script], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...clientEnv },
  });
  await client.stdout.getReader().read();
  while (client.exitCode === null) {
    client.kill("SIGINT");
    await Bun.sleep(500);
  }
  expect(client.exitCode).toBe(1);
  expect(await new Response(client.stderr).text()).toContain("got 3 SIGTERM/SIGINTs");
  expect(await dockerOk("inspect", "--format", "{{.State.Running}}", name)).toBe("true");
});
