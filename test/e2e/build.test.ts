/** Builds by the classic endpoint: what is said, what is made, what is cached, what is refused. */
import { expect } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import {
  BUSYBOX,
  api,
  check,
  docker,
  dockerOk,
  engine,
  inspect,
  naruOnly,
  run,
  skipOn,
  until,
  type Check,
} from "../harness/check.ts";
import type { Output } from "../harness/process.ts";
import { type TarEntry, writeTar } from "../harness/tar.ts";

type Files = Readonly<Record<string, string>>;

interface Built extends Output {
  /** Its tag; gone when the check ends. */
  readonly image: string;
}

const write = (folder: string, files: Files): string => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(`${folder}/${path}`), { recursive: true });
    writeFileSync(`${folder}/${path}`, text);
  }
  return folder;
};

const buildIn = async (t: Check, folder: string, args: readonly string[] = []): Promise<Built> => {
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", image]));
  const env = { DOCKER_BUILDKIT: "0" };
  return { ...(await docker(["build", "-t", image, ...args, folder], { env })), image };
};

/** Builds `dockerfile` in a context of `files`. `{base}` stands for the test image. */
const build = (
  t: Check,
  dockerfile: string,
  files: Files = {},
  args: readonly string[] = [],
): Promise<Built> => {
  const text = dockerfile.replaceAll("{base}", BUSYBOX);
  return buildIn(t, write(t.folder(), { Dockerfile: text, ...files }), args);
};

const built = async (
  t: Check,
  dockerfile: string,
  files: Files = {},
  args: readonly string[] = [],
): Promise<Built> => {
  const out = await build(t, dockerfile, files, args);
  if (out.code !== 0) throw new Error(`${out.stdout}\n${out.stderr}`);
  return out;
};

const inside = (image: string, script: string): Promise<string> =>
  dockerOk("run", "--rm", image, "sh", "-c", script);

const configOf = async (image: string): Promise<Record<string, never>> =>
  (await inspect<{ Config: Record<string, never> }>(image)).Config;

/** POST /build with a tar of one's own. */
const post = (
  entries: readonly TarEntry[],
  query = "",
): Promise<{ status: number; text: string }> =>
  api("POST", `/build?${query}`, {
    raw: writeTar(entries),
    headers: { "Content-Type": "application/x-tar" },
  });

check("a build says its steps, runs them, and names the image", async (t) => {
  const out = await built(t, "FROM {base}\nENV A=1\nRUN echo said > /f; echo said\nCMD cat /f\n");
  expect(out.stdout).toMatch(/Step 1\/4 : FROM e2e\/busybox:latest\n ---> [0-9a-f]{12}\n/);
  expect(out.stdout).toMatch(
    /Step 3\/4 : RUN echo said > \/f; echo said\n ---> Running in [0-9a-f]{12}\nsaid\nRemoving intermediate container [0-9a-f]{12}\n ---> [0-9a-f]{12}\n/,
  );
  expect(out.stdout).toMatch(/Successfully built [0-9a-f]{12}\n/);
  expect(out.stdout).toContain(`Successfully tagged ${out.image}\n`);
  expect(await dockerOk("run", "--rm", out.image)).toBe("said");
});

check("the same build again is taken from the cache and gives the same image", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nENV A=${t.name()}\nCOPY a /a\nRUN date +%N > /when\n`,
    a: t.name(),
  });
  const first = await buildIn(t, folder);
  const second = await buildIn(t, folder);
  expect(second.stdout.match(/---> Using cache/g)).toHaveLength(3);
  const id = async ({ image }: Built): Promise<string> => (await inspect<{ Id: string }>(image)).Id;
  expect(await id(second)).toBe(await id(first));
});

check("a changed file is copied anew; a touched one is not", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nCOPY a /a\nRUN cat /a\n`,
    a: t.name(),
  });
  await buildIn(t, folder);
  await run(["touch", "-d", "2001-02-03", `${folder}/a`]);
  expect((await buildIn(t, folder)).stdout.match(/Using cache/g)).toHaveLength(2);
  writeFileSync(`${folder}/a`, `${t.name()} other`);
  const third = await buildIn(t, folder);
  expect(third.stdout).not.toContain("Using cache");
  expect(third.stdout).toContain("other");
});

check("a changed mode is a changed file", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nCOPY a /a\n`, a: t.name() });
  await buildIn(t, folder);
  await run(["chmod", "755", `${folder}/a`]);
  const out = await buildIn(t, folder);
  expect(out.stdout).not.toContain("Using cache");
  expect(await inside(out.image, "stat -c %a /a")).toBe("755");
});

check("--no-cache runs everything again", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nRUN echo ${t.name()}\n` });
  await buildIn(t, folder);
  expect((await buildIn(t, folder, ["--no-cache"])).stdout).not.toContain("Using cache");
});

check("a failing step tells its command and code, and nothing is tagged", async (t) => {
  const out = await build(t, "FROM {base}\nRUN echo before; exit 3\n");
  expect(out.code).toBe(3);
  expect(out.stdout).toContain("before\n");
  expect(out.stderr).toContain(
    "The command '/bin/sh -c echo before; exit 3' returned a non-zero code: 3",
  );
  expect((await docker(["image", "inspect", out.image])).code).not.toBe(0);
});

check("what a step writes to stderr is shown", async (t) => {
  const out = await built(t, `FROM {base}\nRUN echo ${t.name()} oops >&2\n`);
  expect(out.stdout + out.stderr).toContain("oops");
});

check("instructions make the config", async (t) => {
  const out = await built(
    t,
    `FROM {base}
ENV A=b C="d e" F=$A
LABEL l="m n" $C=x
EXPOSE 80 53/udp 8000-8002
VOLUME /v ["/w"]
USER 12:34
WORKDIR /one
WORKDIR two
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --timeout=3s --retries=4 CMD true
SHELL ["/bin/sh", "-ec"]
ONBUILD RUN echo hi
ENTRYPOINT ["cat"]
CMD ["/etc/hosts"]
`.replace('VOLUME /v ["/w"]', 'VOLUME ["/v", "/w"]'),
  );
  const config: Record<string, unknown> = await configOf(out.image);
  expect(config["Env"]).toEqual(expect.arrayContaining(["A=b", "C=d e", "F="]));
  expect(config["Labels"]).toEqual({ l: "m n", "d e": "x" });
  expect(Object.keys(config["ExposedPorts"] as object).toSorted()).toEqual([
    "53/udp",
    "80/tcp",
    "8000/tcp",
    "8001/tcp",
    "8002/tcp",
  ]);
  expect(config["Volumes"]).toEqual({ "/v": {}, "/w": {} });
  expect(config["User"]).toBe("12:34");
  expect(config["WorkingDir"]).toBe("/one/two");
  expect(config["StopSignal"]).toBe("SIGINT");
  expect(config["Healthcheck"]).toEqual({
    Test: ["CMD-SHELL", "true"],
    Interval: 5e9,
    Timeout: 3e9,
    Retries: 4,
  });
  expect(config["Shell"]).toEqual(["/bin/sh", "-ec"]);
  expect(config["OnBuild"]).toEqual(["RUN echo hi"]);
  expect(config["Entrypoint"]).toEqual(["cat"]);
  expect(config["Cmd"]).toEqual(["/etc/hosts"]);
});

check("history names each instruction, layers only where files were written", async (t) => {
  const out = await built(t, "FROM {base}\nENV A=1\nRUN echo x > /x\nCMD true\n");
  const lines = (
    await dockerOk("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Size}}", out.image)
  ).split("\n");
  expect(lines[0]).toContain('CMD ["/bin/sh" "-c" "true"]|0B');
  expect(lines[1]).toBe("/bin/sh -c echo x > /x|2B");
  expect(lines[2]).toContain("ENV A=1|0B");
});

check("a new entrypoint drops the base's command", async (t) => {
  const base = await built(t, 'FROM {base}\nCMD ["base"]\n');
  const out = await built(t, `FROM ${base.image}\nENTRYPOINT ["x"]\n`);
  expect(((await configOf(out.image)) as Record<string, unknown>)["Cmd"]).toBeFalsy();
});

check("ONBUILD triggers run in the image built on top, and only there", async (t) => {
  const base = await built(t, "FROM {base}\nONBUILD RUN echo triggered > /t\nONBUILD ENV T=1\n");
  const out = await built(t, `FROM ${base.image}\n`);
  expect(await inside(out.image, "cat /t; echo $T")).toBe("triggered\n1");
  const config: Record<string, unknown> = await configOf(out.image);
  expect(config["OnBuild"]).toBeFalsy();
});

check("build args: defaults, given ones, and those before FROM", async (t) => {
  const out = await built(
    t,
    `ARG BASE=nosuch\nARG G=global\nFROM $BASE\nARG A=default\nARG B\nARG G\nRUN echo "$A|$B|$G|$BASE" > /o\n`,
    {},
    ["--build-arg", `BASE=${BUSYBOX}`, "--build-arg", "B=given"],
  );
  expect(await inside(out.image, "cat /o")).toBe("default|given|global|");
});

check("an ENV hides an ARG of its name", async (t) => {
  const out = await built(t, "FROM {base}\nARG A=arg\nENV A=env\nRUN echo $A > /o\n", {}, [
    "--build-arg",
    "A=given",
  ]);
  expect(await inside(out.image, "cat /o; echo $A")).toBe("env\nenv");
});

check("a build arg that nothing names is told", async (t) => {
  const out = await built(t, "FROM {base}\n", {}, ["--build-arg", "NOPE=1"]);
  expect(out.stdout + out.stderr).toMatch(/build-args \[NOPE\] were not consumed/);
});

check("another build arg is another step", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nARG A\nRUN echo ${t.name()} $A\n`,
  });
  await buildIn(t, folder, ["--build-arg", "A=1"]);
  const out = await buildIn(t, folder, ["--build-arg", "A=2"]);
  expect(out.stdout).toMatch(/RUN echo [^\n]*\n ---> Running in/);
});

check("stages copy from each other, by name and by number", async (t) => {
  const out = await built(
    t,
    `FROM {base} AS one
RUN mkdir /d && echo 1 > /d/f
FROM {base}
COPY --from=one /d /x
FROM {base}
COPY --from=1 /x/f /y
COPY --from=${BUSYBOX} /bin/busybox /bb
`,
  );
  expect(await inside(out.image, "cat /y; ls /bb /x 2>/dev/null; true")).toBe("1\n/bb");
});

check("a stage can start from a stage", async (t) => {
  const out = await built(
    t,
    "FROM {base} AS a\nENV X=1\nRUN echo a > /a\nFROM a\nRUN cat /a > /b\n",
  );
  expect(await inside(out.image, "cat /b; echo $X")).toBe("a\n1");
});

check("--target ends at a stage", async (t) => {
  const out = await built(t, "FROM {base} AS a\nENV S=a\nFROM {base}\nENV S=b\n", {}, [
    "--target",
    "a",
  ]);
  const config: Record<string, unknown> = await configOf(out.image);
  expect(config["Env"]).toContain("S=a");
});

check("a target that does not exist is refused", async (t) => {
  const out = await build(t, "FROM {base}\n", {}, ["--target", "zz"]);
  expect(out.code).not.toBe(0);
  expect(out.stderr).toContain("failed to reach build target zz in Dockerfile");
});

check(
  "a stage that the target does not need is not run",
  async (t) => {
    const out = await built(t, "FROM {base} AS a\nRUN exit 9\nFROM {base}\nRUN echo fine\n");
    expect(out.stdout).toContain("fine");
  },
  { skip: skipOn("docker20 docker28", "the classic builder runs all stages") },
);

check("COPY: files, directories, patterns, and where they go", async (t) => {
  const out = await built(
    t,
    `FROM {base}
COPY a.txt /file
COPY a.txt /dir/
COPY sub /sub
COPY *.txt /all/
COPY sub/in ./rel
COPY ["with space", "/ws"]
COPY a.txt b.txt /two/
`,
    { "a.txt": "a", "b.txt": "b", "sub/in": "in", "sub/deep/er": "deeper", "with space": "ws" },
  );
  expect(
    await inside(
      out.image,
      "cat /file /dir/a.txt /sub/in /sub/deep/er /all/a.txt /all/b.txt /rel /ws /two/b.txt",
    ),
  ).toBe("aaindeeperabinwsb");
});

check("COPY: owners and modes", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nCOPY a /a\nCOPY --chown=7:8 a /b\nCOPY --chown=7 d /made/d\nUSER 9\nCOPY a /c\n`,
    a: "a",
    "d/e": "e",
  });
  await run(["chmod", "640", `${folder}/a`]);
  const out = await buildIn(t, folder);
  expect(await inside(out.image, "stat -c %u:%g:%a /a /b /c; stat -c %u:%g /made/d/e")).toBe(
    "0:0:640\n7:8:640\n0:0:640\n7:7",
  );
});

check("COPY --from keeps owners and modes", async (t) => {
  const out = await built(
    t,
    "FROM {base} AS a\nRUN mkdir /d; echo 1 > /d/f; chown 5:6 /d/f; chmod 4711 /d/f\nFROM {base}\nCOPY --from=a /d/ /d/\n",
  );
  expect(await inside(out.image, "stat -c %u:%g /d/f")).toBe("5:6");
});

check("COPY: symlinks are copied as such, one that is named is followed", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nCOPY d /d\nCOPY link /f\n`,
    "d/real": "r",
    target: "t",
  });
  symlinkSync("real", `${folder}/d/l`);
  symlinkSync("target", `${folder}/link`);
  const out = await buildIn(t, folder);
  expect(await inside(out.image, "readlink /d/l; cat /f")).toBe("real\nt");
});

check("COPY: a symlink in the image on the way is followed inside of it", async (t) => {
  const out = await built(t, "FROM {base}\nRUN mkdir /real && ln -s /real /l\nCOPY a /l/a\n", {
    a: "through",
  });
  expect(await inside(out.image, "cat /real/a; readlink /l")).toBe("through/real");
});

for (const [what, line, words] of [
  ["that is not there", "COPY nope /x", /stat \/?nope: file does not exist|nope/],
  ["of which a pattern finds none", "COPY nope* /x", /no source files were specified/],
  ["of which many go to a file", "COPY a b /x", /must be a directory and end with a \//],
] as const) {
  check(`COPY: a source ${what} is refused`, async (t) => {
    const out = await build(t, `FROM {base}\n${line}\n`, { a: "a", b: "b" });
    expect(out.code).not.toBe(0);
    expect(out.stderr).toMatch(words);
  });
}

check("COPY leads nowhere outside of the context", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nCOPY l /x\n` });
  symlinkSync("/etc/hostname", `${folder}/l`);
  const out = await buildIn(t, folder);
  expect(out.code).not.toBe(0);
  const above = await build(t, "FROM {base}\nCOPY ../../../etc/hostname /x\n");
  expect(above.code).not.toBe(0);
});

check(".dockerignore keeps files out, exceptions back in", async (t) => {
  const out = await built(t, "FROM {base}\nCOPY . /c\nRUN find /c -type f | sort > /o\n", {
    ".dockerignore": "*.log\nDockerfile\nnode_modules\n!keep.log\n",
    "a.log": "",
    "keep.log": "",
    "b.txt": "",
    "node_modules/x/y": "",
  });
  expect(await inside(out.image, "cat /o")).toBe("/c/.dockerignore\n/c/b.txt\n/c/keep.log");
});

for (const tool of ["", "gzip", "bzip2", "xz"]) {
  check(`ADD unpacks a ${tool === "" ? "plain" : tool} tar`, async (t) => {
    const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nADD x.bin /u/\n` });
    writeFileSync(`${folder}/x.bin`, writeTar([{ name: "in/f", body: "unpacked", uid: 3 }]));
    if (tool !== "") {
      const packed = await run([tool, "-c", `${folder}/x.bin`]);
      writeFileSync(`${folder}/x.bin`, packed.bytes);
    }
    const out = await buildIn(t, folder);
    expect(out.stderr + out.stdout).toContain("Successfully built");
    expect(await inside(out.image, "cat /u/in/f; stat -c %u /u/in/f")).toBe("unpacked3");
  });
}

check("ADD copies what is no archive", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nADD x.gz /u/\n`, plain: "p" });
  const packed = await run(["gzip", "-c", `${folder}/plain`]);
  writeFileSync(`${folder}/x.gz`, packed.bytes);
  const out = await buildIn(t, folder);
  expect(await inside(out.image, "gunzip -c /u/x.gz")).toBe("p");
});

check("files that go are gone in the image", async (t) => {
  const out = await built(
    t,
    "FROM {base}\nRUN mkdir -p /d/e && touch /d/a /d/e/b\nRUN rm /d/a && rm -r /d/e && mkdir /d/e\n",
  );
  expect(await inside(out.image, "ls -A /d /d/e")).toBe("/d:\ne\n\n/d/e:");
});

check("a step that writes nothing adds no layer", async (t) => {
  const out = await built(t, `FROM {base}\nRUN echo ${t.name()}\n`);
  const layers = async (image: string): Promise<number> =>
    (await inspect<{ RootFS: { Layers: string[] } }>(image)).RootFS.Layers.length;
  expect(await layers(out.image)).toBe(await layers(BUSYBOX));
});

check("what a runtime needs to mount upon is not in the image", async (t) => {
  const out = await built(t, "FROM {base} AS a\nRUN touch /x\nFROM scratch\nCOPY --from=a / /\n");
  const saved = await run(["sh", "-c", `true`]);
  expect(saved.code).toBe(0);
  expect(await inside(out.image, "ls -d /x")).toBe("/x");
});

check("steps run as their user, in their directory, with their shell", async (t) => {
  const out = await built(
    t,
    `FROM {base}
RUN mkdir -m 777 /w
WORKDIR /w
USER 12:34
RUN id -u > u; pwd > p
SHELL ["/bin/sh", "-c", "echo shelled > s; eval \\"$0\\""]
RUN echo x > x
`,
  );
  expect(await inside(out.image, "cat u p s x; stat -c %u:%g u")).toBe("12\n/w\nshelled\nx\n12:34");
});

check("RUN in exec form takes no shell", async (t) => {
  const out = await built(t, 'FROM {base}\nRUN ["touch", "/a $b"]\n');
  expect(await inside(out.image, "ls / | grep b$")).toContain("a $b");
});

check("--network none cuts a step off", async (t) => {
  const out = await built(t, "FROM {base}\nRUN ls /sys/class/net > /n\n", {}, [
    "--network",
    "none",
  ]);
  expect(await inside(out.image, "cat /n")).toBe("lo");
});

check("--add-host is seen by steps and is not in the image", async (t) => {
  const out = await built(t, `FROM {base}\nRUN grep ${t.name()} /etc/hosts > /n; true\n`, {}, [
    "--add-host",
    "somewhere:10.1.2.3",
  ]);
  const file = await built(t, "FROM {base}\nRUN grep somewhere /etc/hosts > /n\n", {}, [
    "--add-host",
    "somewhere:10.1.2.3",
  ]);
  expect(await inside(file.image, "cat /n")).toMatch(/^10\.1\.2\.3\s+somewhere$/);
  expect(await inside(out.image, "grep -c somewhere /etc/hosts; true")).toBe("0");
});

check("limits hold in steps", async (t) => {
  const out = await built(
    t,
    "FROM {base}\nRUN df -m /dev/shm | tail -1 | awk '{print $2}' > /s; ulimit -n > /u\n",
    {},
    ["--shm-size", "8m", "--ulimit", "nofile=77:77"],
  );
  expect(await inside(out.image, "cat /s /u")).toBe("8\n77");
});

check("--label is in the image", async (t) => {
  const out = await built(t, "FROM {base}\n", {}, ["--label", "a=b c", "--label", "d='e'"]);
  const config: Record<string, unknown> = await configOf(out.image);
  expect(config["Labels"]).toMatchObject({ a: "b c", d: "'e'" });
});

check("-q says the id alone; --iidfile holds it", async (t) => {
  const file = `${t.folder()}/iid`;
  const out = await built(t, `FROM {base}\nENV N=${t.name()}\n`, {}, ["-q", "--iidfile", file]);
  expect(out.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
  expect((await Bun.file(file).text()).trim()).toBe(out.stdout.trim());
});

check("several tags, and -f", async (t) => {
  const other = `${t.name()}:2`;
  t.defer(() => docker(["rmi", "-f", other]));
  const out = await built(
    t,
    "FROM nosuch\n",
    { "sub/My.Dockerfile": `FROM ${BUSYBOX}\nENV F=1\n` },
    ["-t", other, "-f", "/dev/null"],
  ).catch(() => undefined);
  expect(out).toBeUndefined();
  const folder = write(t.folder(), { "sub/My.Dockerfile": `FROM ${BUSYBOX}\nENV F=1\n` });
  const good = await buildIn(t, folder, ["-t", other, "-f", `${folder}/sub/My.Dockerfile`]);
  expect(good.stdout).toContain(`Successfully tagged ${other}`);
});

check("a Dockerfile by standard input", async (t) => {
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", image]));
  const out = await docker(["build", "-t", image, "-"], {
    stdin: `FROM ${BUSYBOX}\nRUN echo piped > /p\n`,
    env: { DOCKER_BUILDKIT: "0" },
  });
  expect(out.code).toBe(0);
  expect(await inside(image, "cat /p")).toBe("piped");
});

check("a context by standard input, compressed", async (t) => {
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", image]));
  const tar = writeTar([
    { name: "Dockerfile", body: `FROM ${BUSYBOX}\nCOPY f /f\n` },
    { name: "f", body: "from a tar" },
  ]);
  const out = await docker(["build", "-t", image, "-"], {
    stdin: Bun.gzipSync(new Uint8Array(tar)),
    env: { DOCKER_BUILDKIT: "0" },
  });
  expect(out.code).toBe(0);
  expect(await inside(image, "cat /f")).toBe("from a tar");
});

for (const [what, query, words, entries] of [
  [
    "an unknown instruction",
    "",
    /unknown instruction: RUNN/i,
    [{ name: "Dockerfile", body: "FROM scratch\nRUNN x\n" }],
  ],
  ["no Dockerfile", "", /Cannot locate specified Dockerfile/, [{ name: "f", body: "" }]],
  ["an empty Dockerfile", "", /cannot be empty/, [{ name: "Dockerfile", body: "" }]],
  ["a bad tag", "t=BAD", /must be lowercase/, [{ name: "Dockerfile", body: "FROM scratch\n" }]],
  ["squashing", "squash=1", /squash/, [{ name: "Dockerfile", body: "FROM scratch\n" }]],
] as const) {
  check(`${what} is answered with a status`, async () => {
    const { status, text } = await post(entries, query);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(text).toMatch(words);
  });
}

check("nothing but scratch is no image", async () => {
  const { text } = await post([{ name: "Dockerfile", body: "FROM scratch\n" }]);
  expect(text).toContain("No image was generated");
});

for (const [what, entry] of [
  ["above itself", { name: "../up", body: "x" }],
  ["through a symlink to outside", { name: "l/f", body: "x" }],
  ["a device", { name: "dev", type: "char", device: [1, 3] }],
] as const) {
  check(
    `a context that holds ${what} is refused or stays inside`,
    async () => {
      const { text } = await post([
        { name: "l", type: "symlink", target: "/tmp" },
        entry as TarEntry,
        { name: "Dockerfile", body: `FROM ${BUSYBOX}\nCOPY . /c\nRUN ls /c\n` },
      ]);
      expect(text).toMatch(/"message"|"error"|Successfully built/);
      expect((await run([...engine.enter, "ls", "/tmp/f"])).code).not.toBe(0);
    },
    { skip: skipOn("docker20 docker28", "they unpack in a root of their own") },
  );
}

check("a symlink loop in the context is copied, not followed", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nCOPY . /c\n` });
  symlinkSync("b", `${folder}/a`);
  symlinkSync("a", `${folder}/b`);
  const out = await buildIn(t, folder);
  expect(await inside(out.image, "readlink /c/a")).toBe("b");
});

check("an image that was built can be saved and loaded", async (t) => {
  const out = await built(t, `FROM {base}\nRUN echo ${t.name()} > /f; mkdir /d; rm /bin/ls\n`);
  const file = `${t.folder()}/i.tar`;
  await dockerOk("save", "-o", file, out.image);
  const text = await inside(out.image, "cat /f");
  await dockerOk("rmi", out.image);
  await dockerOk("load", "-i", file);
  expect(await inside(out.image, "cat /f; test -e /bin/ls || echo gone")).toBe(`${text}\ngone`);
});

check("a client that leaves ends its build", async (t) => {
  const mark = t.name();
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nRUN echo ${mark}; sleep 591\n`,
  });
  const out = await docker(["build", "--no-cache", folder], {
    env: { DOCKER_BUILDKIT: "0" },
    timeoutMs: 4000,
  }).catch(() => undefined);
  expect(out?.code).not.toBe(0);
  await until("its process to end", async () => {
    const { stdout } = await run(["pgrep", "-fx", "sleep 591"]);
    return stdout === "";
  });
});

check("builds at the same time do not mix", async (t) => {
  const marks = ["x", "y", "z"].map((letter) => `${t.name()}${letter}`);
  const outs = await Promise.all(
    marks.map((mark) => built(t, `FROM {base}\nRUN echo ${mark} > /m; sleep 0.2\n`)),
  );
  for (const [index, out] of outs.entries()) {
    expect(await inside(out.image, "cat /m")).toBe(marks[index] ?? "");
  }
});

check(
  "equal steps of builds at the same time run once",
  async (t) => {
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nRUN sleep 0.7; date +%N > /when; echo ${t.name()}\n`,
    });
    const outs = await Promise.all([buildIn(t, folder), buildIn(t, folder), buildIn(t, folder)]);
    const times = await Promise.all(outs.map(({ image }) => inside(image, "cat /when")));
    expect(new Set(times).size).toBe(1);
  },
  { skip: naruOnly("the classic builder runs each") },
);

check(
  "stages that do not need each other run at once",
  async (t) => {
    const stage = (name: string): string => `FROM {base} AS ${name}\nRUN sleep 2; touch /${name}\n`;
    const began = performance.now();
    const out = await built(
      t,
      `${stage("a")}${stage("b")}${stage("c")}FROM {base}\nCOPY --from=a /a /\nCOPY --from=b /b /\nCOPY --from=c /c /\n`,
      {},
      ["--no-cache"],
    );
    expect(performance.now() - began).toBeLessThan(5500);
    expect(await inside(out.image, "ls -d /a /b /c")).toBe("/a\n/b\n/c");
  },
  { skip: naruOnly("the classic builder goes stage by stage") },
);

check(
  "mounts of RUN: cache, tmpfs, bind, here-documents",
  async (t) => {
    const id = t.name();
    const dockerfile = `FROM {base}
RUN --mount=type=cache,id=${id},target=/c echo x >> /c/n && wc -l < /c/n > /count
RUN --mount=type=tmpfs,target=/t touch /t/x
RUN --mount=type=bind,target=/b cat /b/f > /f
RUN --mount=type=bind,target=/b,rw echo scratch > /b/new
RUN <<EOT
echo one > /h
echo two >> /h
EOT
COPY <<EOT /i
inline $HOME
EOT
`;
    const out = await built(t, dockerfile, { f: `bound ${id}` });
    const again = await built(t, dockerfile, { f: `bound ${id}` }, ["--no-cache"]);
    const script = "cat /f /h /i; ls -A / | grep -cE '^(c|t|b)$'; true";
    expect(await inside(out.image, script)).toBe(`bound ${id}one\ntwo\ninline \n0`);
    expect(await inside(again.image, "cat /count")).toBe("2");
  },
  { skip: skipOn("docker20 docker28", "the classic builder knows no mounts") },
);

check("the build cache is listed and pruned", async (t) => {
  await built(t, `FROM {base}\nRUN echo ${t.name()} > /f\n`);
  const { text } = await api("GET", "/system/df");
  expect(JSON.parse(text)).toHaveProperty("BuildCache");
  const reply = await api(
    "POST",
    `/build/prune?filters=${encodeURIComponent('{"until":["24h"]}')}`,
  );
  expect(reply.status).toBe(200);
  expect(JSON.parse(reply.text)).toHaveProperty("SpaceReclaimed");
});
