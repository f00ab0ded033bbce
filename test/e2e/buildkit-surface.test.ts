/** What buildx offers, option by option, and clients that speak gRPC to the socket itself. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";

import { fileKernel } from "#kernel/file.ts";

import { write } from "../harness/build.ts";
import { buildx, buildxCheck, good, imageName } from "../harness/buildx.ts";
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

buildxCheck("named contexts: a directory, an image, an OCI layout", async (t) => {
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
  const said = await dockerOk("run", "--rm", name, "sh", "-c", "cat /all; echo; echo $OF; ls /bb");
  expect(said).toBe("of the layout\na directory\nlayout\n/bb");
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

buildxCheck("a program keeps its capabilities on its way from the client", async (t) => {
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
});

buildxCheck("a context that stays is a record of du, and pruned by its type", async (t) => {
  const folder = write(t.folder(), { Dockerfile: "FROM scratch\nCOPY f /f\n", f: t.name() });
  good(await buildx("build", folder));
  const all = good(await buildx("du", "--verbose", "--filter", "type=source.local"));
  expect(all).toMatch(/Type:\s+source\.local/);
  expect(good(await buildx("prune", "-f", "--filter", "type=source.local"))).toMatch(/Total:/);
});
