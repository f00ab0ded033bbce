/** `exec`: options, streams, exit codes, refusals, and what inspect says of it. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";

import { api, BUSYBOX, FULL, check, docker, dockerOk, engine, until } from "../harness/check.ts";
import { dockerPty } from "../harness/client.ts";

check("output on both streams and exit code", async (t) => {
  const name = await t.idle();
  const out = await docker(["exec", name, "sh", "-c", "echo o; echo e >&2; exit 7"]);
  expect([out.code, out.stdout, out.stderr]).toEqual([7, "o\n", "e\n"]);
});

check("many execs that go on hold up no other", async (t) => {
  const name = await t.idle();
  for (let count = 0; count < 20; count += 1) await dockerOk("exec", "-d", name, "sleep", "600");
  expect(await dockerOk("exec", "-t", name, "echo", "still here")).toBe("still here");
});

check("127 for an unknown command, 126 for one that cannot run", async (t) => {
  const name = await t.idle();
  const missing = await docker(["exec", name, "no-such-command"]);
  expect(missing.code).toBe(engine.kind === "docker20" ? 126 : 127);
  const denied = await docker(["exec", name, "/etc/passwd"]);
  expect(denied.code).toBe(126);
});

check("so with -t, and the reason is told", async (t) => {
  const name = await t.idle();
  const missing = await docker(["exec", "-t", name, "no-such-command"]);
  expect(missing.stdout + missing.stderr).toContain("executable file not found in $PATH");
  expect(missing.code).toBe(engine.kind === "docker20" ? 126 : 127);
  const path = await docker(["exec", "-t", name, "/no/such"]);
  expect(path.stdout + path.stderr).toContain("no such file or directory");
  expect(path.code).toBe(engine.kind === "docker20" ? 126 : 127);
  const denied = await docker(["exec", "-t", name, "/etc/passwd"]);
  expect(denied.stdout + denied.stderr).toContain("permission denied");
  expect(denied.code).toBe(126);
});

check("128+n for a signal", async (t) => {
  const name = await t.idle();
  expect((await docker(["exec", name, "sh", "-c", "kill -KILL $$"])).code).toBe(137);
  expect((await docker(["exec", name, "sh", "-c", "kill -TERM $$"])).code).toBe(143);
});

check("-i: piped input and its end", async (t) => {
  const name = await t.idle();
  const out = await docker(["exec", "-i", name, "sh", "-c", "cat; echo over"], { stdin: "in\n" });
  expect(out.stdout).toBe("in\nover\n");
});

check("-i: 4 MB through", async (t) => {
  const name = await t.idle();
  const bytes = Buffer.alloc(4 * 1024 * 1024, "0123456789abcdef");
  const out = await docker(["exec", "-i", name, "cat"], { stdin: bytes });
  expect(out.bytes.equals(bytes)).toBe(true);
});

check("without -i there is no input", async (t) => {
  const name = await t.idle();
  expect((await docker(["exec", name, "cat"], { stdin: "ignored" })).stdout).toBe("");
});

check("-t: a terminal", async (t) => {
  const name = await t.idle();
  expect((await docker(["exec", "-t", name, "tty"])).code).not.toBe(125);
  const pty = dockerPty("exec", "-it", name, "sh");
  await pty.waitFor("#");
  pty.write("test -t 0 && echo is-a-$((1+1))\r");
  await pty.waitFor("is-a-2");
  pty.write("exit 3\r");
  expect(await pty.exited).toBe(3);
});

check("-it: window size", async (t) => {
  const name = await t.idle();
  const script = 'until stty size | grep "24 80"; do sleep 0.1; done';
  const pty = dockerPty("exec", "-it", name, "sh", "-c", script);
  await pty.waitFor("24 80");
  await pty.exited;
});

check("-it: detach keys leave it running", async (t) => {
  const name = await t.idle();
  const pty = dockerPty("exec", "-it", name, "sh", "-c", "echo up; exec sleep 777");
  await pty.waitFor("up");
  pty.write("\x10");
  await Bun.sleep(200);
  pty.write("\x11");
  await pty.exited;
  expect(await dockerOk("exec", name, "sh", "-c", "ps -o args | grep -c '^sleep 777'")).toBe("1");
});

check("-d returns at once and the process goes on", async (t) => {
  const name = await t.idle();
  const script = "until test -e /go; do sleep 0.05; done; touch /done";
  // It would never return if it waited: nobody says "go" before.
  expect(await dockerOk("exec", "-d", name, "sh", "-c", script)).toBe("");
  await dockerOk("exec", name, "touch", "/go");
  await until(
    "the file",
    async () => (await docker(["exec", name, "test", "-e", "/done"])).code === 0,
  );
});

check("-e adds to the container's environment and wins over it", async (t) => {
  const name = await t.idle("-e", "A=container", "-e", "B=container");
  expect(
    await dockerOk("exec", "-e", "A=exec", "-e", "C=new", name, "sh", "-c", "echo $A $B $C"),
  ).toBe("exec container new");
});

check("--env-file", async (t) => {
  const name = await t.idle();
  const file = `${t.folder()}/env`;
  writeFileSync(file, "X=from file\n");
  expect(await dockerOk("exec", "--env-file", file, name, "sh", "-c", "echo $X")).toBe("from file");
});

check("-u: user, its groups and HOME", async (t) => {
  const name = await t.idle();
  expect(
    await dockerOk("exec", "-u", "user", name, "sh", "-c", "id -u; id -g; id -G; echo $HOME"),
  ).toBe("1000\n1000\n1000 50\n/home/user");
  expect(await dockerOk("exec", "-u", "7:8", name, "sh", "-c", "id -u; id -g")).toBe("7\n8");
});

check("-u with an unknown name is refused", async (t) => {
  const name = await t.idle();
  const out = await docker(["exec", "-u", "nobody-here", name, "true"]);
  expect(out.code).not.toBe(0);
  expect(out.stderr + out.stdout).toMatch(/unable to find user|no matching entries/i);
});

check("the container's user and folder are the defaults", async (t) => {
  const name = await t.up("--entrypoint", "sleep", FULL, "600");
  expect(await dockerOk("exec", name, "sh", "-c", "id -u; id -g; pwd; echo $FROM_IMAGE")).toBe(
    "1000\n50\n/work/dir\nyes",
  );
});

check("-w", async (t) => {
  const name = await t.idle("-w", "/tmp");
  expect(await dockerOk("exec", name, "pwd")).toBe("/tmp");
  expect(await dockerOk("exec", "-w", "/etc", name, "pwd")).toBe("/etc");
});

check("-w of a folder that is not there", async (t) => {
  const name = await t.idle();
  const out = await docker(["exec", "-w", "/no/such/dir", name, "pwd"]);
  expect(out.code).toBe(engine.kind === "docker20" ? 126 : 127);
});

check("capabilities and seccomp are the container's", async (t) => {
  const name = await t.idle("--cap-drop", "ALL", "--cap-add", "CHOWN");
  const out = await dockerOk(
    "exec",
    name,
    "sh",
    "-c",
    "grep -E 'CapEff|Seccomp:' /proc/self/status | cut -f2",
  );
  expect(out).toBe("0000000000000001\n2");
});

check("--privileged has more", async (t) => {
  const name = await t.idle();
  const get = "grep CapEff /proc/self/status | cut -f2";
  const plain = await dockerOk("exec", name, "sh", "-c", get);
  const privileged = await docker(["exec", "--privileged", name, "sh", "-c", get]);
  if (privileged.code !== 0) {
    // An engine that asks for capabilities the machine has not.
    expect(privileged.stderr + privileged.stdout).toMatch(/operation not permitted/i);
    return;
  }
  expect(privileged.stdout.trim() > plain).toBe(true);
});

check("it runs in the container's cgroup and namespaces", async (t) => {
  const name = await t.idle("--cgroupns", "host");
  const script =
    "cat /proc/1/cgroup > /a; cat /proc/self/cgroup > /b; cmp /a /b && (readlink /proc/self/ns/net; readlink /proc/1/ns/net) | uniq | wc -l";
  expect(await dockerOk("exec", name, "sh", "-c", script)).toBe("1");
});

check("it counts against the pids limit", async (t) => {
  const name = await t.idle("--pids-limit", "20");
  const script = "i=0; while [ $i -lt 24 ]; do sleep 20 & i=$((i+1)); done; wait";
  const out = await docker(["exec", name, "sh", "-c", script]);
  expect(out.stderr).toMatch(/fork|Resource temporarily unavailable/i);
});

check("not on a stopped, paused or unknown container", async (t) => {
  const stopped = await t.create(BUSYBOX, "true");
  const notRunning = await docker(["exec", stopped, "true"]);
  expect(notRunning.code).toBe(1);
  expect(notRunning.stderr).toMatch(/is not running/);
  const paused = await t.idle();
  await dockerOk("pause", paused);
  const onPaused = await docker(["exec", paused, "true"]);
  expect(onPaused.code).toBe(1);
  expect(onPaused.stderr).toMatch(/is paused/);
  await dockerOk("unpause", paused);
  const unknown = await docker(["exec", "e2e-unknown", "true"]);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toMatch(/No such container/);
});

check("it ends with the container", async (t) => {
  const name = await t.idle();
  const running = docker(["exec", name, "sleep", "601"]);
  await until("it runs", async () => (await dockerOk("top", name)).includes("sleep 601"));
  await dockerOk("kill", name);
  expect((await running).code).toBe(137);
});

check("20 at once all answer", async (t) => {
  const name = await t.idle();
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, index) => docker(["exec", name, "echo", String(index)])),
  );
  expect(all.map((out) => out.stdout)).toEqual(
    Array.from({ length: 20 }, (_, index) => `${index}\n`),
  );
});

check("API: exec inspect tells running, code, pid, configuration", async (t) => {
  const name = await t.idle();
  const created = await api("POST", `/containers/${name}/exec`, {
    body: {
      Cmd: ["sh", "-c", "exit 5"],
      AttachStdout: true,
      Env: ["A=1"],
      WorkingDir: "/tmp",
      User: "0",
    },
  });
  expect(created.status).toBe(201);
  const { Id } = created.json<{ Id: string }>();
  expect(Id).toMatch(/^[0-9a-f]{64}$/);
  const before = (await api("GET", `/exec/${Id}/json`)).json<Record<string, unknown>>();
  expect(before).toMatchObject({ ID: Id, Running: false, ExitCode: null });
  const started = await api("POST", `/exec/${Id}/start`, { body: { Detach: false, Tty: false } });
  expect(started.status).toBe(200);
  const after = (await api("GET", `/exec/${Id}/json`)).json<Record<string, unknown>>();
  expect(after).toMatchObject({ Running: false, ExitCode: 5, OpenStdout: true, OpenStdin: false });
  expect(after["ProcessConfig"]).toMatchObject({
    entrypoint: "sh",
    arguments: ["-c", "exit 5"],
    tty: false,
  });
});

check("API: an exec starts once", async (t) => {
  const name = await t.idle();
  const created = await api("POST", `/containers/${name}/exec`, {
    body: { Cmd: ["true"], AttachStdout: true },
  });
  const { Id } = created.json<{ Id: string }>();
  await api("POST", `/exec/${Id}/start`, { body: {} });
  const again = await api("POST", `/exec/${Id}/start`, { body: { Detach: true } });
  expect(again.status).toBe(409);
});

check(
  "API: the start says how the output is framed, whatever the exec was made with",
  async (t) => {
    const name = await t.idle();
    const made = await api("POST", `/containers/${name}/exec`, {
      body: { Cmd: ["printf", "hello"], AttachStdout: true, Tty: true },
    });
    const { Id } = made.json<{ Id: string }>();
    const { text } = await api("POST", `/exec/${Id}/start`, {
      body: { Detach: false, Tty: false },
    });
    expect(text).toBe("\x01\0\0\0\0\0\0\x05hello");
  },
);

check("API: no command is 400, an unknown exec 404", async (t) => {
  const name = await t.idle();
  expect((await api("POST", `/containers/${name}/exec`, { body: { Cmd: [] } })).status).toBe(400);
  expect((await api("GET", "/exec/0123456789abcdef/json")).status).toBe(404);
  expect((await api("POST", "/exec/0123456789abcdef/start", { body: {} })).status).toBe(404);
});

check("API: ExecIDs of the container while one runs", async (t) => {
  const name = await t.idle();
  await dockerOk("exec", "-d", name, "sleep", "30");
  const ids = (await api("GET", `/containers/${name}/json`)).json<{ ExecIDs: string[] | null }>()
    .ExecIDs;
  expect(ids?.length).toBe(1);
});
