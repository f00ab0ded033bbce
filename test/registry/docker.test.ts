/** Docker 20.10 of the distribution against the registry, in namespaces of its own; where it is installed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { existsSync, writeFileSync } from "node:fs";

import { clientBinary } from "../harness/client-binary.ts";
import type { StartedEngine } from "../harness/engine.ts";
import { BUSYBOX_CONFIG, busyboxRoot, dockerArchive } from "../harness/images.ts";
import { run, until } from "../harness/process.ts";
import { writeTar } from "../harness/tar.ts";
import { hasDocker20, startDocker20 } from "../peer/docker.ts";
import { cleanUp, naru, temporaryDirectory } from "./world.ts";

afterAll(cleanUp);

describe.skipIf(!hasDocker20() || !existsSync(clientBinary()))("docker 20.10", () => {
  const directory = temporaryDirectory();
  const host = "127.0.0.1:5443";
  let engine: StartedEngine;
  let registry: ReturnType<typeof Bun.spawn>;

  const docker = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run([clientBinary(), "-H", engine.host, ...args], {
      env: { HOME: directory, DOCKER_CONFIG: directory },
      timeoutMs: 200_000,
    });
    return code === 0 ? stdout.trim() : `exit ${code}: ${stderr.trim()}`;
  };

  beforeAll(async () => {
    engine = await startDocker20();
    const hash = await Bun.password.hash("sesame", { algorithm: "bcrypt", cost: 4 });
    writeFileSync(`${directory}/htpasswd`, `alice:${hash}\n`);
    const access = [
      { repositories: "public/**", users: ["anonymous"], actions: ["pull"] },
      { users: ["alice"], actions: ["*"] },
    ];
    writeFileSync(`${directory}/config.json`, JSON.stringify({ access }));
    // On the engine's own loopback, which needs no certificate.
    const flags = ["--htpasswd", `${directory}/htpasswd`, "--data-root", `${directory}/data`];
    registry = Bun.spawn(
      [
        ...engine.enter,
        ...naru,
        "registry",
        "serve",
        "--addr",
        host,
        ...flags,
        "--config-file",
        `${directory}/config.json`,
      ],
      {
        stdin: "ignore",
        stdout: Bun.file(`${directory}/out`),
        stderr: Bun.file(`${directory}/err`),
      },
    );
    await until("ready", async () => (await Bun.file(`${directory}/out`).text()).includes("ready"));
    const archive = dockerArchive(
      ["busybox:latest"],
      [writeTar(await busyboxRoot())],
      BUSYBOX_CONFIG,
    );
    writeFileSync(`${directory}/image.tar`, archive);
    expect(await docker("load", "-q", "-i", `${directory}/image.tar`)).toContain("busybox");
  }, 300_000);

  afterAll(async () => {
    registry?.kill();
    await registry?.exited;
    await engine?.stop();
  }, 300_000);

  test("log in, push, pull by tag and digest, anonymous pulls, refusals", async () => {
    expect(await docker("login", "-u", "alice", "-p", "wrong", host)).toContain("unauthorized");
    expect(await docker("login", "-u", "alice", "-p", "sesame", host)).toContain("Login Succeeded");
    for (const name of ["public/box", "secret/box"]) {
      await docker("tag", "busybox", `${host}/${name}:v1`);
      expect(await docker("push", "-q", `${host}/${name}:v1`)).toContain(`${host}/${name}:v1`);
    }
    const format = "{{index .RepoDigests 0}}";
    const digest = (await docker("image", "inspect", "-f", format, `${host}/public/box:v1`)).split(
      "@",
    )[1];
    await docker("rmi", "-f", `${host}/public/box:v1`, `${host}/secret/box:v1`, "busybox");
    expect(await docker("pull", "-q", `${host}/secret/box:v1`)).toBe(`${host}/secret/box:v1`);
    expect(
      await docker("run", "--rm", "--network=none", `${host}/secret/box:v1`, "echo", "hi"),
    ).toBe("hi");
    await docker("logout", host);
    expect(await docker("pull", "-q", `${host}/public/box@${digest}`)).toContain(digest ?? "?");
    expect(await docker("pull", "-q", `${host}/secret/box:v1`)).toMatch(
      /^exit 1: .*(denied|unauthorized)/s,
    );
    expect(await docker("push", "-q", `${host}/secret/box:v1`)).toMatch(/^exit 1: /);
    expect(await docker("pull", "-q", `${host}/public/none:v1`)).toMatch(/^exit 1: .*not found/s);
  }, 300_000);
});
