/** What buildx offers, option by option, and clients that speak gRPC to the socket itself. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";

import { fileKernel } from "#kernel/file.ts";

import { write } from "../harness/build.ts";
import { buildx, buildxCheck, good, imageName } from "../harness/buildx.ts";
import { cgroupParent, showsCgroupPaths } from "../harness/cgroups.ts";
import { BUSYBOX, docker, dockerOk, engine, naruOnly, run } from "../harness/check.ts";
import { readTar } from "../harness/tar.ts";

buildxCheck(
  "the remote driver speaks gRPC to the socket itself, also for large archives",
  async (t) => {
    const builder = t.name();
    t.defer(() => buildx("rm", builder));
    good(await buildx("create", "--name", builder, "--driver", "remote", engine.host));
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nRUN dd if=/dev/urandom of=/f bs=1M count=20\n`,
    });
    const out = t.folder();
    const tags = ["-t", `${t.name()}:1`];
    const to = ["-o", `type=docker,dest=${out}/a.tar`];
    good(await buildx("--builder", builder, "build", ...tags, ...to, folder));
    expect(readTar(readFileSync(`${out}/a.tar`)).has("manifest.json")).toBe(true);
  },
  { skip: naruOnly("dockerd has gRPC behind POST /grpc only") },
);

/** Of the last build whose shown name has the word. */
const refOf = async (name: string): Promise<string> => {
  const listed = good(await buildx("history", "ls", "--no-trunc", "--format", "json"));
  const rows = listed
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { ref: string; name: string });
  const found = rows.find((row) => row.name.includes(name));
  if (found === undefined) throw new Error(`no build of ${name} in\n${listed}`);
  return found.ref.split("/").at(-1) ?? "";
};

buildxCheck(
  "history: a build that is over is looked at, its log read, and it is removed",
  async (t) => {
    const name = t.name();
    const folder = write(t.folder(), {
      [`${name}.Dockerfile`]: `FROM ${BUSYBOX}\nARG who\nRUN echo "said to $who"; exit 4\n`,
    });
    const file = `${folder}/${name}.Dockerfile`;
    const { code } = await buildx("build", "--build-arg", "who=all", "-f", file, folder);
    expect(code).toBe(1);
    const ref = await refOf(name);
    const seen = JSON.parse(good(await buildx("history", "inspect", "--format", "json", ref)));
    expect(seen).toMatchObject({ Ref: ref, BuildArgs: [{ Name: "who", Value: "all" }] });
    expect(seen.Error.Message).toContain("exit code: 4");
    expect(good(await buildx("history", "logs", ref))).toContain("said to all");
    const failed = good(await buildx("history", "ls", "--filter", "status=error"));
    expect(failed).toContain(ref);
    const bundle = `${t.folder()}/b.dockerbuild`;
    good(await buildx("history", "export", "-o", bundle, ref));
    expect(readFileSync(bundle).subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
    good(await buildx("history", "rm", ref));
    expect((await buildx("history", "inspect", ref)).code).toBe(1);
  },
);

buildxCheck(
  "named contexts: a directory, an image, an OCI layout",
  async (t) => {
    const name = imageName(t);
    const layout = t.folder();
    const made = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nRUN echo of the layout > /lay\nENV OF=layout\n`,
    });
    good(await buildx("build", "-o", `type=oci,dest=${layout}/l.tar`, made));
    good(await run(["tar", "-xf", `${layout}/l.tar`, "-C", layout]));
    const directory = write(t.folder(), { d: "a directory" });
    const folder = write(t.folder(), {
      Dockerfile:
        "FROM lay\nCOPY --from=dir d /\nCOPY --from=img /bin/busybox /bb\nRUN cat /lay /d > /all\n",
    });
    const contexts = {
      lay: `oci-layout://${layout}`,
      dir: directory,
      img: `docker-image://${BUSYBOX}`,
    };
    const args = Object.entries(contexts).flatMap(([key, value]) => [
      "--build-context",
      `${key}=${value}`,
    ]);
    good(await buildx("build", "--load", "-t", name, ...args, folder));
    const said = await dockerOk(
      "run",
      "--rm",
      name,
      "sh",
      "-c",
      "cat /all; echo; echo $OF; ls /bb",
    );
    expect(said).toBe("of the layout\na directory\nlayout\n/bb");
  },
  { skip: naruOnly("its own driver has no OCI exporter there") },
);

buildxCheck("bake: what stands on a target that failed says why, and is not made", async (t) => {
  const name = t.name();
  const inline = `FROM ${BUSYBOX}\nCOPY --from=below / /below\n`;
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nRUN echo ${name}; exit 9\n`,
    "docker-bake.json": JSON.stringify({
      target: {
        below: { context: "." },
        above: {
          "dockerfile-inline": inline,
          contexts: { below: "target:below" },
          tags: [`${name}:1`],
        },
      },
    }),
  });
  const words = ["--allow", `fs.read=${folder}`, "--set", `*.context=${folder}`];
  const file = ["-f", `${folder}/docker-bake.json`, ...words];
  const { code, stderr } = await buildx("bake", "--progress", "plain", ...file, "above");
  expect(code).toBe(1);
  expect(stderr).toContain("did not complete successfully: exit code: 9");
  expect((await docker(["image", "inspect", `${name}:1`])).code).toBe(1);
});

buildxCheck("bake: a target stands on another one", async (t) => {
  const names = [imageName(t), imageName(t)];
  const folder = write(t.folder(), {
    "base.Dockerfile": `FROM ${BUSYBOX}\nRUN echo ${t.name()} > /linked\nENV OF=base\n`,
    "app.Dockerfile": "FROM base\nARG n\nRUN echo $n $OF > /n\nCOPY --from=base /linked /again\n",
    "docker-bake.json": JSON.stringify({
      group: { default: { targets: ["a", "b"] } },
      target: {
        base: { dockerfile: "base.Dockerfile" },
        app: { dockerfile: "app.Dockerfile", contexts: { base: "target:base" } },
        a: { inherits: ["app"], tags: [names[0]], args: { n: "1" } },
        b: { inherits: ["app"], tags: [names[1]], args: { n: "2" } },
      },
    }),
  });
  good(
    await buildx(
      "bake",
      "--allow",
      `fs.read=${folder}`,
      "-f",
      `${folder}/docker-bake.json`,
      "--set",
      `*.context=${folder}`,
      "--load",
    ),
  );
  const said = await dockerOk(
    "run",
    "--rm",
    names[1] ?? "",
    "sh",
    "-c",
    "cat /n; cmp /linked /again",
  );
  expect(said).toBe("2 base");
});

/** setcap cap_chown+ep, without the program: version 2 of the attribute, effective, bit 0 permitted. */
const CHOWN_CAPABILITY = Buffer.from("0100000201000000000000000000000000000000", "hex");

buildxCheck(
  "a program keeps its capabilities on its way from the client",
  async (t) => {
    const name = imageName(t);
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nCOPY busybox2 /busybox2\nRUN chmod 1777 /tmp\n`,
    });
    const id = await dockerOk("create", BUSYBOX);
    t.defer(() => docker(["rm", id]));
    await dockerOk("cp", `${id}:/bin/busybox`, `${folder}/busybox2`);
    fileKernel.setXattr(`${folder}/busybox2`, "security.capability", CHOWN_CAPABILITY);
    good(await buildx("build", "--load", "-t", name, folder));
    const script = "touch /tmp/f && /busybox2 chown 0 /tmp/f && stat -c %u /tmp/f";
    expect(await dockerOk("run", "--rm", "-u", "1000", name, "sh", "-c", script)).toBe("0");
  },
  { skip: naruOnly("BuildKit sets the owner last, which clears them") },
);

buildxCheck("a context that stays is a record of du, and pruned by its type", async (t) => {
  const folder = write(t.folder(), { Dockerfile: "FROM scratch\nCOPY f /f\n", f: t.name() });
  good(await buildx("build", folder));
  const all = good(await buildx("du", "--verbose", "--filter", "type=source.local"));
  expect(all).toMatch(/Type:\s+source\.local/);
  expect(good(await buildx("prune", "-f", "--filter", "type=source.local"))).toMatch(/Total:/);
});

buildxCheck("--call tells the targets and what one of them takes", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX} AS base\n# who is greeted\nARG who=me\nRUN --mount=type=secret,id=token,required true\n# app is the program\nFROM base AS app\nFROM scratch AS other\n`,
  });
  const ask = async (what: string): Promise<Record<string, never>> => {
    const call = ["build", "--call", `${what},format=json`, "--target", "app", folder];
    const { stdout } = await buildx(...call);
    return JSON.parse(stdout) as Record<string, never>;
  };
  expect(await ask("targets")).toMatchObject({
    targets: [{ name: "base" }, { name: "app", description: "is the program" }, { default: true }],
  });
  expect(await ask("outline")).toMatchObject({
    name: "app",
    args: [{ name: "who", value: "me", description: "is greeted" }],
    secrets: [{ name: "token", required: true }],
  });
});

buildxCheck("limits, hosts, network and what is told of the result", async (t) => {
  const name = imageName(t);
  const out = t.folder();
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nRUN ulimit -n > /n; grep /dev/shm /proc/mounts > /shm; grep extra /etc/hosts > /h; ls /sys/class/net > /net; cat /proc/self/cgroup > /cg\n`,
  });
  const parent = cgroupParent(t);
  const options = [
    "--ulimit=nofile=1234:2345",
    "--shm-size=32m",
    "--add-host=extra:1.2.3.4",
    "--network=none",
    `--cgroup-parent=${parent}`,
    "--load",
    `--tag=${name}`,
  ];
  good(await buildx("build", ...options, "--metadata-file", `${out}/m.json`, folder));
  const said = await dockerOk("run", "--rm", name, "sh", "-c", "cat /n /h /net /shm");
  expect(said).toStartWith("1234\n");
  expect(said).toMatch(/1\.2\.3\.4\s+extra\nlo\n/);
  expect(said).toContain("size=32768k");
  const cgroups = await dockerOk("run", "--rm", name, "cat", "/cg");
  if (showsCgroupPaths) expect(cgroups).toContain(`${parent}/`);
  const told = JSON.parse(readFileSync(`${out}/m.json`, "utf8")) as Record<string, string>;
  const ref = told["buildx.build.ref"] ?? "";
  expect(good(await buildx("history", "inspect", ref.split("/").at(-1) ?? ""))).toContain(
    "nofile=1234:2345",
  );
  expect(told["containerimage.digest"]).toMatch(/^sha256:/);
  const inspected = good(await buildx("history", "inspect", ref.split("/").at(-1) ?? ""));
  expect(inspected).toContain("https://slsa.dev/provenance/");
  expect(JSON.stringify(told["buildx.build.provenance"])).toContain("pkg:docker/");
  expect(told["buildx.build.provenance"]).toMatchObject({
    buildType: "https://mobyproject.org/buildkit@v1",
    invocation: { configSource: { entryPoint: "Dockerfile" } },
  });
});

buildxCheck("--no-cache-filter runs one stage anew and the others not", async (t) => {
  const name = imageName(t);
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX} AS one\nRUN echo ${t.name()}; date +%s%N > /one\nFROM one AS two\nRUN date +%s%N > /two\n`,
  });
  const times = async (...args: string[]): Promise<string[]> => {
    good(await buildx("build", "--load", "-t", name, ...args, folder));
    return (await dockerOk("run", "--rm", name, "cat", "/one", "/two")).split("\n");
  };
  const [one, two] = await times();
  expect(await times()).toEqual([one!, two!]);
  const [oneAgain, twoAgain] = await times("--no-cache-filter", "two");
  expect(oneAgain).toBe(one!);
  expect(twoAgain).not.toBe(two!);
});

buildxCheck("progress for programs, and a builder's records by filter", async (t) => {
  const mark = t.name();
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nRUN echo ${mark} > /m\n` });
  const said = good(await buildx("build", "--progress", "rawjson", folder));
  const shown = said
    .split("\n")
    .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
  const vertexes = shown.flatMap((one: { vertexes?: { name: string }[] }) => one.vertexes ?? []);
  expect(vertexes.some((one) => one.name.includes(`RUN echo ${mark}`))).toBe(true);
  const mine = ["--filter", `description~=${mark}`];
  expect(good(await buildx("du", "--verbose", ...mine))).toContain(mark);
  good(await buildx("prune", "-f", "-a", ...mine));
  expect(good(await buildx("du", "--verbose", ...mine))).not.toContain(mark);
});

buildxCheck("a frontend whose image cannot be had is told with its registry's words", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `# syntax=localhost:1/other/frontend:1\nFROM ${BUSYBOX}\n`,
  });
  const { code, stderr } = await buildx("build", folder);
  expect(code).toBe(1);
  expect(stderr).toContain("docker-image://localhost:1/other/frontend:1");
});

buildxCheck("what a build is refused for before it begins is told at once", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\n` });
  const { code, stderr } = await buildx("build", "--cache-to", "type=bogus", folder);
  expect(code).toBe(1);
  expect(stderr).toMatch(/cache export "bogus" is not supported|Cache export is not supported/);
});

buildxCheck("a cache of a kind that is not known spares no work, and is told of", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nRUN echo ${t.name()} > /m\n` });
  for (const cache of ["type=bogus", "BAD::x"]) {
    const said = await buildx("build", "--progress", "plain", "--cache-from", cache, folder);
    expect(said.code).toBe(0);
    expect(said.stderr).toContain(`importing cache manifest from ${cache.replace("type=", "")}`);
    expect(said.stderr).toMatch(/ERROR: .*(bogus|BAD)/);
  }
});

/** What its RUN steps print. */
const printed = async (folder: string, ...args: string[]): Promise<string> => {
  const { stderr } = await buildx("build", "--no-cache", "--progress", "plain", ...args, folder);
  return stderr;
};

buildxCheck("secrets whose ids only variables tell are asked of the client", async (t) => {
  const folder = write(t.folder(), {
    token: "hidden",
    Dockerfile: `FROM ${BUSYBOX}\nARG I=tok\nRUN --mount=type=secret,id=\${I},env=E,required=true test "$E" = hidden && echo it is so\n`,
  });
  expect(await printed(folder, "--secret", `id=tok,src=${folder}/token`)).toMatch(/\d it is so\n/);
});

buildxCheck(
  "the host's network must be granted, a step is not told of its host's name",
  async (t) => {
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nRUN env\nRUN --network=host true\n`,
    });
    const refused = await printed(folder);
    expect(refused).toMatch(/network\.host is not allowed/);
    expect(refused).not.toContain("HOSTNAME=");
    for (const granted of ["--allow=network.host", "--network=host"]) {
      good(await buildx("build", granted, folder));
    }
  },
);

buildxCheck(
  "a step that fails is told in BuildKit's words; WORKDIR takes unknown users",
  async (t) => {
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nUSER nobody-knows:neither\nWORKDIR /made\nUSER root\nRUN stat -c %u:%g /made; exit 7\n`,
    });
    const said = await printed(folder);
    expect(said).toMatch(/\d 0:0\n/);
    expect(said).toMatch(/#\d+ ERROR: process ".*" did not complete successfully: exit code: 7/);
  },
);
