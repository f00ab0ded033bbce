/** What buildx offers, option by option, and clients that speak gRPC to the socket itself. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";

import { write } from "../harness/build.ts";
import { buildx, buildxCheck, good } from "../harness/buildx.ts";
import { BUSYBOX, engine, naruOnly } from "../harness/check.ts";
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
