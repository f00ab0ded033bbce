/** Builds by BuildKit's protocol: with the client of Docker 20.10, which needs no plugin, and with buildx. */
import { expect } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";

import {
  BUSYBOX,
  type Check,
  check,
  docker,
  dockerOk,
  engine,
  naruOnly,
  run,
  skipOn,
  until,
} from "../harness/check.ts";
import type { Output } from "../harness/process.ts";
import { readTar, writeTar } from "../harness/tar.ts";

/** The client of Debian 12's docker.io carries its own BuildKit client. */
const OLD_CLIENT = "/usr/bin/docker";
const BUILDX = ["/var/tmp/naru-peers/sid", "/var/tmp/naru-peers/compose", ""]
  .map((root) => `${root}/usr/libexec/docker/cli-plugins/docker-buildx`)
  .find((path) => existsSync(path));
const NEW_CLIENT = "/usr/local/bin/docker";

const hasOldClient = existsSync(OLD_CLIENT) && existsSync("/usr/sbin/dockerd");
const hasBuildx = BUILDX !== undefined && existsSync(NEW_CLIENT);

const write = (folder: string, files: Readonly<Record<string, string>>): string => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    writeFileSync(`${folder}/${name}`, text);
  }
  return folder;
};

const environment = { DOCKER_HOST: engine.host, DOCKER_BUILDKIT: "1", DOCKER_CONTEXT: undefined };

const oldBuild = (folder: string, ...args: string[]): Promise<Output> =>
  run([OLD_CLIENT, "build", "--progress", "plain", ...args, folder], { env: environment });

const home = "/tmp/naru-e2e-buildx";
const buildxWith = async (
  more: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<Output> => {
  mkdirSync(`${home}/cli-plugins`, { recursive: true });
  const plugin = `${home}/cli-plugins/docker-buildx`;
  if (!existsSync(plugin) && BUILDX !== undefined) copyFileSync(BUILDX, plugin);
  const env = { ...environment, DOCKER_CONFIG: home, HOME: home, ...more };
  return await run([NEW_CLIENT, "buildx", ...args], { env });
};
const buildx = (...args: string[]): Promise<Output> => buildxWith({}, ...args);

const good = (output: Output): string => {
  if (output.code !== 0) throw new Error(`exit ${output.code}\n${output.stdout}${output.stderr}`);
  return output.stdout + output.stderr;
};

const image = (t: Check): string => {
  const name = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", name]));
  return name;
};

const oldCheck: typeof check = (title, body, options) => {
  if (hasOldClient) check(`20.10: ${title}`, body, options);
};
const buildxCheck = (...[title, body, options = {}]: Parameters<typeof check>): void => {
  const skip = options.skip ?? skipOn("docker20", "buildx asks for a newer engine");
  if (hasBuildx) check(`buildx: ${title}`, body, { skip });
};

oldCheck(
  "an image is built from the client's files, and again from the cache",
  async (t) => {
    const name = image(t);
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nWORKDIR /w\nCOPY . .\nRUN echo said; date +%N > /when\n`,
      ".dockerignore": "skip*\n!skip-not\n",
      a: t.name(),
      "sub/b": "b",
      skipped: "x",
      "skip-not": "y",
    });
    symlinkSync("a", `${folder}/link`);
    expect(good(await oldBuild(folder, "-t", name))).toMatch(/\] RUN echo said/);
    const files = "cd /w && ls && cat a link sub/b";
    const said = await dockerOk("run", "--rm", name, "sh", "-c", files);
    expect(said).toContain("skip-not");
    expect(said).not.toContain("skipped");
    const when = await dockerOk("run", "--rm", name, "cat", "/when");
    const again = good(await oldBuild(folder, "-t", name));
    expect(again).toMatch(/CACHED/);
    expect(await dockerOk("run", "--rm", name, "cat", "/when")).toBe(when);
  },
  // Docker 28 forgets a step when other builds remove their images meanwhile.
  { isAlone: true },
);

oldCheck("a changed, a new and a removed file are seen", async (t) => {
  const name = image(t);
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nCOPY . /w\n`,
    changed: "1",
    removed: "1",
  });
  good(await oldBuild(folder, "-t", name));
  write(folder, { changed: "22", added: "3" });
  await run(["rm", `${folder}/removed`]);
  good(await oldBuild(folder, "-t", name));
  const script = "cd /w && ls && cat changed added";
  expect(await dockerOk("run", "--rm", name, "sh", "-c", script)).toBe(
    "Dockerfile\nadded\nchanged\n223",
  );
});

oldCheck("a failing step ends the build with its output and code", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nRUN echo before; exit 3\n` });
  const { code, stderr } = await oldBuild(folder);
  expect(code).toBe(1);
  expect(stderr).toContain("before");
  expect(stderr).toMatch(/exit code: 3/);
});

oldCheck("a secret is in its step alone", async (t) => {
  const name = image(t);
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nRUN --mount=type=secret,id=token sha256sum < /run/secrets/token > /sum\n`,
  });
  const secret = write(t.folder(), { token: "very secret" });
  good(await oldBuild(folder, "-t", name, "--secret", `id=token,src=${secret}/token`));
  const expected = new Bun.CryptoHasher("sha256").update("very secret").digest("hex");
  expect(await dockerOk("run", "--rm", name, "cat", "/sum")).toContain(expected);
  expect(await dockerOk("run", "--rm", name, "sh", "-c", "ls /run/secrets | wc -l")).toBe("0");
});

oldCheck("files and archives go back to the client", async (t) => {
  const folder = write(t.folder(), { Dockerfile: "FROM scratch\nCOPY d /d\n", "d/a": "one" });
  const out = t.folder();
  good(await oldBuild(folder, "-o", `${out}/files`));
  expect(readFileSync(`${out}/files/d/a`, "utf8")).toBe("one");
  expect(readdirSync(`${out}/files`)).toEqual(["d"]);
  good(await oldBuild(folder, "-o", `type=tar,dest=${out}/files.tar`));
  expect(
    [...readTar(readFileSync(`${out}/files.tar`)).keys()].map((key) => key.replace(/\/$/, "")),
  ).toContain("d/a");
});

oldCheck("a context comes from standard input", async (t) => {
  const name = image(t);
  const tar = writeTar([
    { name: "Dockerfile", body: `FROM ${BUSYBOX}\nCOPY a /a\n` },
    { name: "a", body: t.name() },
  ]);
  const argv = [OLD_CLIENT, "build", "-t", name, "-"];
  good(await run(argv, { env: environment, stdin: tar }));
  expect(await dockerOk("run", "--rm", name, "cat", "/a")).not.toBe("");
});

oldCheck("a client that leaves takes its build along", async (t) => {
  const mark = `61${Math.trunc(Math.random() * 1e6)}`;
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nRUN sleep ${mark}\n` });
  const building = Bun.spawn([OLD_CLIENT, "build", folder], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "ignore"],
  });
  const isRunning = async (): Promise<boolean> =>
    (await run(["pgrep", "-f", `^sleep ${mark}`])).code === 0;
  await until("the step to run", isRunning);
  building.kill("SIGKILL");
  await building.exited;
  await until("the step to be gone", async () => !(await isRunning()));
});

/** A program of this machine with the libraries it needs, as a tree to copy. */
const programTree = async (program: string, folder: string): Promise<void> => {
  const { stdout } = await run(["ldd", program]);
  for (const path of [program, ...(stdout.match(/\/[^ )]+/g) ?? [])]) {
    await run([
      "sh",
      "-c",
      `mkdir -p ${folder}$(dirname ${path}) && cp -L ${path} ${folder}${path}`,
    ]);
  }
};

const agentCheck: typeof oldCheck = existsSync("/usr/bin/ssh-agent") ? oldCheck : () => undefined;

agentCheck("a step reaches the client's SSH agent, and only with --ssh", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nCOPY root /\nRUN --mount=type=ssh ssh-add -l\n`,
  });
  await programTree("/usr/bin/ssh-add", `${folder}/root`);
  const agent = `${t.folder()}/agent`;
  const started = good(await run(["ssh-agent", "-a", agent]));
  t.defer(() => run(["kill", /pid (\d+)/.exec(started)?.[1] ?? "0"]));
  const env = { ...environment, SSH_AUTH_SOCK: agent };
  const key = `${agent}-key`;
  good(await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "of-this-test", "-f", key]));
  good(await run(["ssh-add", key], { env }));
  const argv = [OLD_CLIENT, "build", "--progress", "plain", "--no-cache"];
  expect(good(await run([...argv, "--ssh", "default", folder], { env }))).toContain("of-this-test");
  expect((await run([...argv, folder], { env })).code).toBe(1);
  if (!hasBuildx || engine.kind === "docker20") return;
  const newer = ["build", "--progress", "plain", "--no-cache", folder];
  const forwarded = await buildxWith({ SSH_AUTH_SOCK: agent }, ...newer, "--ssh", "default");
  expect(good(forwarded)).toContain("of-this-test");
  const named = await buildxWith({}, ...newer, "--ssh", `default=${agent}`);
  expect(good(named)).toContain("of-this-test");
  expect((await buildx(...newer)).code).toBe(1);
});

buildxCheck("a context comes from standard input", async (t) => {
  const name = image(t);
  const tar = writeTar([
    { name: "Dockerfile", body: `FROM ${BUSYBOX}\nCOPY a /a\n` },
    { name: "a", body: "from a tar" },
  ]);
  good(await buildx("version"));
  const env = { ...environment, DOCKER_CONFIG: home, HOME: home };
  good(await run([NEW_CLIENT, "buildx", "build", "--load", "-t", name, "-"], { env, stdin: tar }));
  expect(await dockerOk("run", "--rm", name, "cat", "/a")).toBe("from a tar");
});

buildxCheck("an image is built, named and told in the words of its steps", async (t) => {
  const name = image(t);
  const folder = write(t.folder(), {
    Dockerfile: `ARG base=${BUSYBOX}\nFROM $base AS first\nRUN echo ${t.name()} > /f\nFROM ${BUSYBOX}\nARG who\nLABEL a=b\nCOPY --from=first /f /f\nRUN echo "hello $who" > /g\n`,
  });
  const said = good(
    await buildx(
      "build",
      "--progress",
      "plain",
      "--load",
      "--build-arg",
      "who=me",
      "--label",
      "c=d",
      "-t",
      name,
      folder,
    ),
  );
  expect(said).toContain("[first 2/2] RUN echo");
  expect(said).toContain("COPY --from=first /f /f");
  expect(await dockerOk("run", "--rm", name, "cat", "/g")).toBe("hello me");
  const labels = await dockerOk("inspect", "--format", "{{json .Config.Labels}}", name);
  expect(JSON.parse(labels)).toMatchObject({ a: "b", c: "d" });
});

buildxCheck(
  "a syntax line is answered without a registry",
  async (t) => {
    const name = t.name();
    const folder = write(t.folder(), {
      Dockerfile: `# syntax=docker/dockerfile:1.4\nFROM ${BUSYBOX}\nRUN <<EOF\necho ${name} said\nEOF\n`,
    });
    const said = good(await buildx("build", "--progress", "plain", folder));
    expect(said).toContain(`${name} said`);
  },
  { skip: naruOnly("its frontend is built in") },
);

buildxCheck("a failing step fails as users know it", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nRUN echo before; exit 7\n` });
  const { code, stderr } = await buildx("build", "--progress", "plain", folder);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /ERROR: failed to build: failed to solve: process "\/bin\/sh -c echo before; exit 7" did not complete successfully: exit code: 7/,
  );
});

buildxCheck("directories that COPY --chmod makes on its way have its digits' mode", async (t) => {
  const text = `FROM ${BUSYBOX}
RUN mkdir /old
COPY --chmod=700 --chown=7:8 f /new/deep/f
COPY --chmod=4710 f /special/
COPY --chmod=u=rw,go= f /letters/f
COPY --link --chmod=750 f /linked/f
COPY --chmod=700 f /old/f
COPY --chmod=700 d /tree/d
RUN stat -c %n:%a:%u /new /new/deep /special /letters /linked /old /tree /tree/d /tree/d/e > /modes
`;
  const name = image(t);
  const folder = write(t.folder(), { Dockerfile: text, f: "f", "d/e": "e" });
  good(await buildx("build", "-t", name, "--load", folder));
  const modes = await dockerOk("run", "--rm", name, "cat", "/modes");
  expect(modes.split("\n")).toEqual([
    "/new:700:7",
    "/new/deep:700:7",
    "/special:710:0",
    "/letters:755:0",
    "/linked:750:0",
    "/old:755:0",
    "/tree:700:0",
    "/tree/d:700:0",
    "/tree/d/e:700:0",
  ]);
});

buildxCheck("a failing command is quoted, and an ONBUILD trigger tells what it said", async (t) => {
  const trigger = 'ONBUILD RUN echo "of a $(echo trigger)"; exit 7';
  const Dockerfile = `FROM ${BUSYBOX} AS base\n${trigger}\nFROM base\n`;
  const folder = write(t.folder(), { Dockerfile });
  const { stderr } = await buildx("build", "--no-cache", "--progress", "plain", folder);
  expect(stderr).toContain(
    String.raw`process "/bin/sh -c echo \"of a $(echo trigger)\"; exit 7" did not complete`,
  );
  expect(stderr).toMatch(/\d of a trigger\n/);
  expect(stderr).toContain("3 | >>> FROM base");
});

buildxCheck("secrets, named contexts and several outputs of one build", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX} AS make\nRUN --mount=type=secret,id=s,env=S echo "$S" | sha256sum > /sum\nFROM scratch\nCOPY --from=make /sum /sum\nCOPY --from=other o /o\n`,
  });
  const other = write(t.folder(), { o: "other" });
  const out = t.folder();
  good(
    await buildx(
      "build",
      "--secret",
      `id=s,src=${other}/o`,
      "--build-context",
      `other=${other}`,
      "-o",
      `${out}/files`,
      "-o",
      `type=tar,dest=${out}/a.tar`,
      folder,
    ),
  );
  expect(readdirSync(`${out}/files`).toSorted()).toEqual(["o", "sum"]);
  expect(readTar(readFileSync(`${out}/a.tar`)).has("sum")).toBe(true);
});

buildxCheck("--check tells what is not meant", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nMAINTAINER me\n` });
  const { stdout, stderr } = await buildx("build", "--check", folder);
  expect(stdout + stderr).toContain("MaintainerDeprecated");
});

buildxCheck(
  "checks know the base image's variables, and what the build argument says",
  async (t) => {
    const text = `FROM ${BUSYBOX} AS Foo\nENV A=$NOT_THERE B=$PATH\n`;
    const folder = write(t.folder(), { Dockerfile: text });
    const plain = await buildx("build", "--progress", "plain", folder);
    expect(good(plain)).toMatch(
      /UndefinedVar: Usage of undefined variable '\$NOT_THERE' \(line 2\)/,
    );
    expect(plain.stderr).not.toContain("'$PATH'");
    const check = await buildx("build", "--check", folder);
    expect(check.code).toBe(1);
    expect(check.stdout + check.stderr).toContain("UndefinedVar");
    const say = (value: string): string => `BUILDKIT_DOCKERFILE_CHECK=${value}`;
    const none = await buildx("build", "--check", "--build-arg", say("skip=all"), folder);
    expect(good(none)).toContain("no warnings found");
    const asError = await buildx("build", "--build-arg", say("error=true"), folder);
    expect(asError.code).not.toBe(0);
    expect(asError.stderr).toMatch(/lint violation found for rules: StageNameCasing, UndefinedVar/);
  },
);

buildxCheck("du, prune and history ls answer", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nRUN echo ${t.name()}\n` });
  good(await buildx("build", "-q", folder));
  expect(good(await buildx("du"))).toMatch(/Total:/);
  expect(good(await buildx("history", "ls"))).toMatch(/Completed/);
  expect(good(await buildx("prune", "-f", "--filter", "type=exec.cachemount"))).toMatch(/Total:/);
});

buildxCheck("bake builds its targets", async (t) => {
  const names = [image(t), image(t)];
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nARG n\nRUN echo $n > /n\n`,
    "docker-bake.json": JSON.stringify({
      group: { default: { targets: ["a", "b"] } },
      target: {
        a: { context: ".", tags: [names[0]], args: { n: "1" } },
        b: { context: ".", tags: [names[1]], args: { n: "2" } },
      },
    }),
  });
  const env = { ...environment, DOCKER_CONFIG: home, HOME: home };
  good(await buildx("version"));
  good(await run([NEW_CLIENT, "buildx", "bake"], { env, cwd: folder }));
  expect(await dockerOk("run", "--rm", names[1] ?? "", "cat", "/n")).toBe("2");
});
