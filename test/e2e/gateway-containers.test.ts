/** Containers that a client's build function starts of its results: what debuggers of builds look into them with. */
import { expect } from "bun:test";

import { readFileSync, readdirSync } from "node:fs";

import {
  ReadDirRequestSchema,
  ReadDirResponseSchema,
  ReadFileRequestSchema,
  ReadFileResponseSchema,
  StatFileRequestSchema,
  StatFileResponseSchema,
} from "#spec/buildkit/gateway.gen.ts";

import { write } from "../harness/build.ts";
import { buildxCommand } from "../harness/buildx-client.ts";
import { buildxCheck } from "../harness/buildx.ts";
import { BUSYBOX, type Check, check, engine, naruOnly, until } from "../harness/check.ts";
import { GatewayBuild } from "../harness/gateway-build.ts";
import { Definition } from "../harness/llb-definition.ts";

const options = { skip: naruOnly("gRPC on the socket itself") };
const [BIND, CACHE, TMPFS] = [0, 3, 4];
const [NETWORK_HOST, NETWORK_NONE] = [1, 2];

const gateway = (t: Check): GatewayBuild => {
  const build = new GatewayBuild(t.name());
  t.defer(() => build[Symbol.asyncDispose]());
  return build;
};

/** The id of busybox with what the script writes. */
const resultOf = (build: GatewayBuild, script = "true"): Promise<string> => {
  const definition = new Definition();
  const identifier = `docker-image://docker.io/${BUSYBOX}`;
  const base = definition.add({ case: "source", value: { identifier } as never });
  const meta = { args: ["sh", "-c", script], cwd: "/" };
  const mounts = [{ input: 0n, dest: "/", output: 0n }];
  const made = definition.add({ case: "exec", value: { meta, mounts } as never }, [base]);
  return build.solve(definition, made);
};

const opened = async (build: GatewayBuild, script?: string): Promise<string> =>
  await build.open([{ dest: "/", resultId: await resultOf(build, script) }]);

const failure = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "it did not fail";
};

check(
  "a process in a result has its input, both outputs, its code, and leaves the result alone",
  async (t) => {
    const build = gateway(t);
    const result = await resultOf(build, "echo made > /made");
    const container = await build.open([{ dest: "/", resultId: result }]);
    const script =
      'cat /made; read line; echo "heard $line in $PWD as $WHO" >&2; echo x > /own; exit 7';
    const shell = await build.start(container, {
      args: ["sh", "-c", script],
      env: ["WHO=me"],
      cwd: "/tmp",
    });
    await shell.write("a word\n");
    expect(await shell.ended).toEqual({
      code: 7,
      error: "exit code: 7",
      stdout: "made\n",
      stderr: "heard a word in /tmp as me\n",
    });
    // With its first process, the container is over.
    expect(await failure(build.run(container, "true"))).toContain("the container has ended");
    await build.release(container);
    const other = await build.open([{ dest: "/", resultId: result }]);
    const { stdout } = await build.run(other, "ls /own 2>/dev/null; cat; echo end");
    expect(stdout).toBe("end\n");
    await build.finish();
  },
  options,
);

check(
  "further processes run beside the first one, and end with it",
  async (t) => {
    const build = gateway(t);
    const container = await opened(build);
    const first = await build.start(container, { args: ["sh", "-c", "echo 1 > /one; sleep 600"] });
    const seen = await build.run(
      container,
      "until [ -e /one ]; do sleep 0.05; done; cat /one; id -u; hostname; exit 3",
      { user: "65534" },
    );
    expect(seen).toMatchObject({ code: 3, stdout: "1\n65534\nbuild\n" });
    const script = "echo up; exec sleep 600";
    const second = await build.start(container, { args: ["sh", "-c", script] });
    await until("the second one", () => second.stdout === "up\n");
    await first.signal("KILL");
    expect((await first.ended).code).toBe(137);
    expect((await second.ended).code).toBe(137);
    await build.finish();
  },
  options,
);

check(
  "a terminal has the size that it is told, and takes signals by their names",
  async (t) => {
    const build = gateway(t);
    const container = await opened(build);
    const script =
      "trap 'echo caught; exit 5' TERM; echo $TERM; while :; do sleep 0.05; stty size; done";
    const meta = { args: ["sh", "-c", script] };
    for (const kind of ["first", "further"]) {
      const shell = await build.start(container, meta, { tty: true, fds: [0, 1] });
      await until(`the ${kind} process's terminal`, () => shell.stdout.includes("xterm\r\n"));
      await shell.resize(33, 111);
      await until("its size", () => shell.stdout.includes("33 111\r\n"));
      if (kind === "first") continue;
      await shell.signal("TERM");
      const { code, stdout } = await shell.ended;
      expect(code).toBe(5);
      expect(stdout).toContain("caught\r\n");
    }
    await build.finish();
  },
  options,
);

check(
  "a container has mounts of results, memory and caches, hosts, a name, and no network where none is asked for",
  async (t) => {
    const build = gateway(t);
    const root = await resultOf(build);
    const other = await resultOf(build, "mkdir /in && echo other > /in/file");
    const id = t.name();
    const mounts = [
      { dest: "/", resultId: root },
      { dest: "/other", resultId: other, selector: "in", readonly: true },
      { dest: "/free", resultId: other, mountType: BIND },
      { dest: "/memory", mountType: TMPFS },
      { dest: "/cache", mountType: CACHE, cache: { id } },
    ];
    const hosts = [{ host: "far.example", ip: "192.0.2.7" }];
    const container = await build.open(mounts, { network: NETWORK_NONE, hostname: "near" }, hosts);
    const script = `cat /other/file /free/in/file; echo no > /other/file; echo yes > /free/own && cat /free/own
      grep -c ' /memory tmpfs' /proc/mounts; echo kept > /cache/file; grep far /etc/hosts; hostname
      ls /sys/class/net | grep -v lo`;
    const { stdout, stderr } = await build.run(container, script);
    expect(stdout.replaceAll(/[\t ]+/g, " ")).toBe(
      "other\nother\nyes\n1\n192.0.2.7 far.example\nnear\n",
    );
    expect(stderr).toContain("Read-only file system");
    await build.release(container);
    const again = await build.open(mounts);
    const { stdout: later } = await build.run(again, "cat /cache/file; ls /free /sys/class/net");
    expect(later).toContain("kept\n");
    expect(later).toContain("eth0");
    expect(later).not.toContain("own");
    await build.finish();
  },
  options,
);

check(
  "files of a container are read as they are now, by the place of their mount",
  async (t) => {
    const build = gateway(t);
    const root = await resultOf(build);
    const other = await resultOf(build, "echo other > /file");
    const container = await build.open([
      { dest: "/", resultId: root },
      { dest: "/other", resultId: other, readonly: true },
    ]);
    const shell = await build.start(container, { args: ["sh", "-c", "echo now > /now; cat"] });
    const file = (filePath: string, mountIndex: number) =>
      build.ask(
        "ReadFileContainer",
        ReadFileRequestSchema,
        { ref: container, filePath, mountIndex },
        ReadFileResponseSchema,
      );
    const textOf = async (path: string, index: number): Promise<string> =>
      Buffer.from((await file(path, index)).data).toString();
    await until("its file", () =>
      textOf("/now", 0)
        .catch(() => "")
        .then((text) => text === "now\n"),
    );
    expect(await textOf("/file", 1)).toBe("other\n");
    expect(await failure(file("/now", 2))).toContain("mount 2 is not one of the container's 2");
    const { entries } = await build.ask(
      "ReadDirContainer",
      ReadDirRequestSchema,
      { ref: container, dirPath: "/", includePattern: "n*" },
      ReadDirResponseSchema,
    );
    expect(entries.map(({ path }) => path)).toEqual(["now"]);
    const { stat } = await build.ask(
      "StatFileContainer",
      StatFileRequestSchema,
      { ref: container, path: "/now" },
      StatFileResponseSchema,
    );
    expect(stat?.size).toBe(4n);
    await shell.end();
    expect((await shell.ended).code).toBe(0);
    await build.finish();
  },
  options,
);

check(
  "what is wrong with a container or a process is said",
  async (t) => {
    const build = gateway(t);
    const resultId = await resultOf(build);
    expect(await failure(build.open([{ dest: "/", resultId: "none" }]))).toContain(
      'there is no result "none"',
    );
    expect(await failure(build.open([{ dest: "/x", resultId }]))).toContain('no mount at "/"');
    const mounts = [{ dest: "/", resultId }];
    expect(await failure(build.open(mounts, { network: NETWORK_HOST }))).toContain(
      "--allow network.host grants it",
    );
    expect(await failure(build.release("none"))).toContain("previously released or not created");
    const args = ["sleep", "9"];
    const insecure = { security: 1 };
    const container = await build.open(mounts);
    expect(await failure(build.start(container, { args }, insecure))).toContain(
      "--allow security.insecure grants it",
    );
    expect(await failure(build.start(container, { args }, { fds: [0, 5] }))).toContain("fd 5");
    const shell = await build.start(container, { args: ["/no/such/program"] });
    const { code, error } = await shell.ended;
    expect(code).toBe(255);
    expect(error).toContain("/no/such/program");
    await build.finish();
  },
  options,
);

/** Processes of this host with that word in their environment. */
const processesWith = (word: string): readonly string[] =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(word);
    } catch {
      return false; // It has ended meanwhile.
    }
  });

check(
  "a client that goes away takes its containers with it",
  async (t) => {
    const mark = `mark=${t.name()}`;
    await using build = new GatewayBuild(t.name());
    const container = await opened(build);
    await build.start(container, { args: ["sleep", "600"], env: [mark] });
    await build.start(container, { args: ["sleep", "600"], env: [mark] });
    await until("both", () => processesWith(mark).length === 2);
    await build[Symbol.asyncDispose]();
    await until("their end", () => processesWith(mark).length === 0);
  },
  options,
);

const quoted = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;

/** What buildx's debugger shows of a program, until it asks what next. */
const debugged = async (t: Check, on: string, script: string, steps: string): Promise<string> => {
  const text = `FROM ${BUSYBOX}\nWORKDIR /here\nRUN echo written > file\n${steps}`;
  const folder = write(t.folder(), { Dockerfile: text });
  const words = `entrypoint=sh,args=-c,args=${script},tty=true`;
  const args = ["debug", "--on", on, "--invoke", words, "build", folder];
  const { argv, env } = buildxCommand(engine.host, args);
  const command = argv.map(quoted).join(" ");
  const child = Bun.spawn(["script", "-qec", command, `${t.folder()}/typescript`], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
    env: { ...process.env, ...env, BUILDX_EXPERIMENTAL: "1" },
  });
  t.defer(() => Promise.resolve(child.kill("SIGKILL")));
  let said = "";
  for await (const bytes of child.stdout) {
    said += Buffer.from(bytes).toString();
    if (!said.includes("(buildx)")) continue;
    // The program is over: its debugger asks what next.
    void child.stdin.write("exit\n");
    await child.stdin.end();
    break;
  }
  return said;
};

const terminal = Bun.which("script") === null ? { skip: "script(1) is not here" } : {};

buildxCheck(
  "buildx's debugger runs a program in what was built",
  async (t) => {
    const script = "echo $((40+2)) words $(cat file) on $(tty)";
    const said = await debugged(t, "always", script, "");
    expect(said).toContain("42 words written on /dev/pts/0");
  },
  terminal,
);

buildxCheck(
  "buildx's debugger runs a program where a step failed, with the step's surroundings",
  async (t) => {
    const steps = "ENV WHO=me\nUSER 65534\nRUN exit 7\n";
    const script = "echo $((40+2)) words $(cat file) by $WHO as $(id -u)";
    expect(await debugged(t, "error", script, steps)).toContain("42 words written by me as 65534");
  },
  terminal,
);
