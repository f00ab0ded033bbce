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
