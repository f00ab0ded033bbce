/** Builds by the classic endpoint: what is said, what is made, what is cached. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";

import { build, buildIn, built, configOf, inside, write, type Built } from "../harness/build.ts";
import { BUSYBOX, check, docker, dockerOk, inspect, run, skipOn } from "../harness/check.ts";

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

check("what an ONBUILD trigger says is shown, above all where it fails", async (t) => {
  const text = 'FROM {base} AS base\nONBUILD RUN echo "its words"; exit 4\nFROM base\n';
  const failed = await build(t, text);
  expect(failed.code).not.toBe(0);
  const said = failed.stdout + failed.stderr;
  expect(said).toMatch(/# Executing 1 build trigger\n ---> Running in \w+\nits words\n/);
  expect(said).toContain("returned a non-zero code: 4");
  const good = text
    .replace("exit 4", "true")
    .replace("FROM base\n", "ONBUILD ENV A=b\nFROM base\n");
  const again = await build(t, good);
  expect(again.stdout).toMatch(/# Executing 2 build triggers\n ---> Running in \w+\nits words\n/);
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

check("--network names a network whose containers a step finds by name", async (t) => {
  const net = t.name();
  await dockerOk("network", "create", net);
  const peer = t.name();
  await dockerOk("run", "-d", "--name", peer, "--net", net, BUSYBOX, "sleep", "60");
  try {
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nRUN ping -c1 -W5 ${peer} && echo found\n`,
    });
    expect((await buildIn(t, folder, ["--network", net])).stdout).toContain("found\n");
  } finally {
    await dockerOk("rm", "-f", peer);
    await dockerOk("network", "rm", net);
  }
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
