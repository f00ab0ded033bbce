/** `docker run`: exit codes, error texts, names, ids, pull policy, platform. */
import { expect } from "bun:test";
import { existsSync, readFileSync } from "node:fs";

import {
  BUSYBOX,
  check,
  docker,
  dockerOk,
  engine,
  inspect,
  sh,
  skipOn,
  stateOf,
} from "../harness/check.ts";

check("exit code 0 and output", async () => {
  const out = await sh([], "echo hello");
  expect(out.code).toBe(0);
  expect(out.stdout).toBe("hello\n");
  expect(out.stderr).toBe("");
});

for (const code of [1, 3, 42, 255]) {
  check(`exit code ${code} is the process's`, async () => {
    expect((await sh([], `exit ${code}`)).code).toBe(code);
  });
}

check("exit code 125: the daemon refuses", async () => {
  const out = await docker(["run", "--rm", "--memory", "1k", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/minimum memory limit/i);
});

check("exit code 125: an unknown flag", async () => {
  expect((await docker(["run", "--no-such-flag", BUSYBOX])).code).toBe(125);
});

check("exit code 126: not executable", async () => {
  const out = await docker(["run", "--rm", BUSYBOX, "/etc/passwd"]);
  expect(out.code).toBe(126);
  expect(out.stderr).toMatch(/permission denied/i);
});

check("exit code 126: a directory as the command", async () => {
  const out = await docker(["run", "--rm", BUSYBOX, "/etc"]);
  expect(out.code).toBe(126);
});

check("exit code 127: command not found in PATH", async () => {
  const out = await docker(["run", "--rm", BUSYBOX, "no-such-command"]);
  expect(out.code).toBe(127);
  expect(out.stderr).toMatch(/not found/i);
  expect(out.stderr).toContain("no-such-command");
});

check("exit code 127: an absolute path that is not there", async () => {
  const out = await docker(["run", "--rm", BUSYBOX, "/no/such/file"]);
  expect(out.code).toBe(127);
  expect(out.stderr).toMatch(/no such file or directory/i);
});

check("a failed start leaves the container in created with code 127", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const out = await docker(["run", "--name", name, BUSYBOX, "no-such-command"]);
  expect(out.code).toBe(127);
  const { State } = await inspect<{ State: { Status: string; ExitCode: number; Error: string } }>(
    name,
  );
  expect(State.Status).toBe("created");
  expect(State.ExitCode).toBe(127);
  expect(State.Error).toContain("no-such-command");
});

check("--rm removes the container also after a failed start", async (t) => {
  const name = t.name();
  await docker(["run", "--rm", "--name", name, BUSYBOX, "no-such-command"]);
  expect((await docker(["inspect", name])).code).toBe(1);
});

for (const [signal, code] of [
  ["KILL", 137],
  ["TERM", 143],
  ["HUP", 129],
  ["USR1", 138],
] as const) {
  check(`exit code ${code}: ended by SIG${signal}`, async () => {
    const out = await sh(["--init"], `sh -c 'kill -${signal} $$'`);
    expect(out.code).toBe(code);
  });
}

check("a signal to process 1 itself gives 128+n", async (t) => {
  const name = await t.idle();
  await dockerOk("kill", "-s", "KILL", name);
  expect(await dockerOk("wait", name)).toBe("137");
});

check("stderr comes on stderr", async () => {
  const out = await sh([], "echo out; echo err >&2");
  expect(out.stdout).toBe("out\n");
  expect(out.stderr).toBe("err\n");
});

check("--rm leaves nothing", async (t) => {
  const name = t.name();
  await dockerOk("run", "--rm", "--name", name, BUSYBOX, "true");
  expect(await dockerOk("ps", "-aq", "--filter", `name=${name}`)).toBe("");
});

check("-d prints the 64-digit id", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const id = await dockerOk("run", "-d", "--name", name, BUSYBOX, "sleep", "60");
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(await dockerOk("inspect", "--format", "{{.Id}}", name)).toBe(id);
});

check("a name in use is refused and the conflict names the holder", async (t) => {
  const name = await t.idle();
  const id = await dockerOk("inspect", "--format", "{{.Id}}", name);
  const out = await docker(["run", "--rm", "--name", name, BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/Conflict.*already in use/is);
  expect(out.stderr).toContain(id.slice(0, 12));
});

check("an invalid name is refused with the allowed characters", async () => {
  const out = await docker(["run", "--rm", "--name", "bad/name", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/Invalid container name.*\[a-zA-Z0-9\]\[a-zA-Z0-9_.-\]/s);
});

check("without --name a name of two words is given", async (t) => {
  const id = await dockerOk("create", BUSYBOX, "true");
  t.defer(() => docker(["rm", id]));
  expect(await dockerOk("inspect", "--format", "{{.Name}}", id)).toMatch(/^\/[a-z]+_[a-z]+\d*$/);
});

check("--cidfile has the id, and an existing file is refused", async (t) => {
  const file = `${t.folder()}/cid`;
  const id = await t.up("--cidfile", file, BUSYBOX, "sleep", "60");
  expect(readFileSync(file, "utf8")).toMatch(/^[0-9a-f]{64}$/);
  expect(readFileSync(file, "utf8")).toBe(await dockerOk("inspect", "--format", "{{.Id}}", id));
  const again = await docker(["run", "--rm", "--cidfile", file, BUSYBOX, "true"]);
  expect(again.code).toBe(125);
  expect(again.stderr).toMatch(/container ID file found/i);
});

check("--cidfile is removed when the container cannot be created", async (t) => {
  const file = `${t.folder()}/cid`;
  await docker(["run", "--rm", "--pull", "never", "--cidfile", file, "e2e/missing", "true"]);
  expect(existsSync(file)).toBe(false);
});

check("--pull never with an image that is not there", async () => {
  const out = await docker(["run", "--rm", "--pull", "never", "e2e/missing:1", "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/No such image: e2e\/missing:1/i);
});

check("--pull missing with an image that is there does not pull", async () => {
  const out = await docker(["run", "--rm", "--pull", "missing", BUSYBOX, "echo", "here"]);
  expect(out.stdout).toBe("here\n");
  expect(out.stderr).toBe("");
});

check(
  "an image that cannot be pulled gives 125 and its name",
  async () => {
    const out = await docker(["run", "--rm", "127.0.0.1:9/e2e/nowhere", "true"]);
    expect(out.code).toBe(125);
    expect(out.stderr).toMatch(
      /Unable to find image '127\.0\.0\.1:9\/e2e\/nowhere:latest' locally/,
    );
    expect(out.stderr).toMatch(/connection refused/i);
  },
  { skip: skipOn("naru", "registries are a later stage: refused by name") },
);

check("an invalid reference is refused", async () => {
  const out = await docker(["run", "--rm", "Upper/Case", "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/invalid reference format/i);
});

check("--platform that the image does not have is refused", async () => {
  const out = await docker([
    "run",
    "--rm",
    "--pull",
    "never",
    "--platform",
    "linux/s390x",
    BUSYBOX,
    "true",
  ]);
  expect(out.code).not.toBe(0);
  expect(out.stderr).toMatch(/platform|exec format error/i);
});

check("--platform of the machine works", async () => {
  const platform = process.arch === "arm64" ? "linux/arm64" : "linux/amd64";
  const out = await docker(["run", "--rm", "--platform", platform, BUSYBOX, "echo", "ok"]);
  expect(out.stdout).toBe("ok\n");
});

check("an image by id and by short id", async () => {
  const id = await dockerOk("image", "inspect", "--format", "{{.Id}}", BUSYBOX);
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect((await docker(["run", "--rm", id, "echo", "full"])).stdout).toBe("full\n");
  const short = id.slice(7, 19);
  expect((await docker(["run", "--rm", short, "echo", "short"])).stdout).toBe("short\n");
});

check("no command and none in the image", async (t) => {
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", image]));
  const tar = `${t.folder()}/empty.tar`;
  await Bun.write(tar, Buffer.alloc(1024));
  await dockerOk("import", tar, image);
  const out = await docker(["run", "--rm", image]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/No command specified/i);
});

check(
  "--name is free at once after --rm",
  async (t) => {
    const name = t.name();
    for (let round = 0; round < 5; round += 1) {
      const out = await docker(["run", "--rm", "--name", name, BUSYBOX, "echo", String(round)]);
      expect(out.stdout).toBe(`${round}\n`);
    }
  },
  { skip: skipOn("docker20", "the client comes back before the name is free") },
);

check("create, then start -a gives output and code", async (t) => {
  const name = await t.create(BUSYBOX, "sh", "-c", "echo started; exit 7");
  const out = await docker(["start", "-a", name]);
  expect(out.stdout).toBe("started\n");
  expect(out.code).toBe(7);
});

check("starting twice keeps the changes of the first run", async (t) => {
  const name = await t.create(BUSYBOX, "sh", "-c", "echo x >> /log; wc -l < /log");
  expect((await docker(["start", "-a", name])).stdout.trim()).toBe("1");
  expect((await docker(["start", "-a", name])).stdout.trim()).toBe("2");
});

check("start of a running container is no error", async (t) => {
  const name = await t.idle();
  expect((await docker(["start", name])).code).toBe(0);
});

check("start of an unknown container", async () => {
  const out = await docker(["start", "e2e-no-such"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/No such container: e2e-no-such/);
});

check(`the engine says who it is (${engine.kind} ${engine.version})`, async () => {
  expect(await dockerOk("version", "--format", "{{.Server.Version}}")).toBe(engine.version);
});

check("a file that is no program: its start succeeds, and it ends with 255", async (t) => {
  const image = `${t.name()}:c`;
  t.defer(() => docker(["rmi", "-f", image]));
  const files = [": >/empty", "echo echo >/text", "echo '#!/nosuch' >/script"].join("; ");
  const made = await t.up(BUSYBOX, "sh", "-c", `${files}; chmod +x /empty /text /script`);
  await dockerOk("wait", made);
  await dockerOk("commit", made, image);
  for (const [file, reason] of [
    ["/empty", "exec format error"],
    ["/text", "exec format error"],
    ["/script", "no such file or directory"],
  ] as const) {
    const name = t.name();
    t.defer(() => docker(["rm", "-f", name]));
    const out = await docker(["run", "--name", name, image, file]);
    expect([file, out.code, out.stderr.toLowerCase().includes(reason)]).toEqual([file, 255, true]);
    expect(await stateOf(name)).toMatchObject({ Status: "exited", ExitCode: 255, Error: "" });
    // Again, with the first run's words in the log; and on a terminal.
    expect((await docker(["start", "-a", name])).code).toBe(255);
    expect((await docker(["run", "--rm", "-t", image, file])).code).toBe(255);
  }
  // A program that fails ends as it says.
  expect((await docker(["run", "--rm", image, "false"])).code).toBe(1);
});
