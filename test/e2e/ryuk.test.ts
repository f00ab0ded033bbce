/**
 * testcontainers' reaper (ryuk) on the engine: a test process is killed, and all that it had made goes.
 * Its image is made here from its program; without one the check says so and is skipped.
 */
import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";

import { BUSYBOX, docker, dockerOk, engine, until } from "../harness/check.ts";
import { naruBinary } from "../harness/naru.ts";
import { ryukProgram } from "../harness/ryuk.ts";

const home = mkdtempSync("/tmp/naru-e2e-ryuk-");
afterAll(() => rmSync(home, { recursive: true, force: true }));

const program = await ryukProgram(home);
if ("missing" in program) console.error(`skipped: the reaper, ${program.missing}`);

const IMAGE = "testcontainers/ryuk:0.14.0";

/** A session that makes one of each, tells its id and its compose project's, and never ends by itself. */
const session = (): string => `
const { DockerComposeEnvironment, GenericContainer, Network, getContainerRuntimeClient, getReaper, Wait } =
  await import("testcontainers");
const client = await getContainerRuntimeClient();
const { sessionId } = await getReaper(client);
const labels = { "org.testcontainers.session-id": sessionId };
const volume = "kept-" + sessionId;
await client.container.dockerode.createVolume({ Name: volume, Labels: labels });
const network = await new Network().start();
const image = await GenericContainer.fromDockerfile("${home}/image").build("built-" + sessionId + ":1");
await image.withNetwork(network).withCommand(["sleep", "600"])
  .withBindMounts([{ source: volume, target: "/data" }]).start();
const environment = await new DockerComposeEnvironment("${home}/project", "compose.yaml")
  .withProjectName("ryuk" + sessionId)
  .withClientOptions({ executable: { executablePath: "${home}/naru" } })
  .withWaitStrategy("web-1", Wait.forLogMessage("up"))
  .up();
console.log(JSON.stringify({ sessionId, compose: environment.getContainer("web-1").getId() }));
await new Promise(() => setInterval(() => {}, 1000));
`;

/** All of one session, or of its compose project, that the engine has: "kind id". */
const belongings = async (sessionId: string): Promise<string[]> => {
  const labels = [
    `org.testcontainers.session-id=${sessionId}`,
    `com.docker.compose.project=ryuk${sessionId}`,
  ];
  const lists = [["ps", "-a"], ["network", "ls"], ["volume", "ls"], ["images"]] as const;
  const found = labels.flatMap((label) =>
    lists.map(async (list) => {
      const ids = await dockerOk(...list, "-q", "--filter", `label=${label}`);
      return ids === "" ? [] : ids.split("\n").map((id) => `${list[0]} ${id}`);
    }),
  );
  return (await Promise.all(found)).flat();
};

const kindsOf = (things: readonly string[]): string[] =>
  [...new Set(things.map((thing) => thing.split(" ")[0] ?? ""))].toSorted();

const prepare = async (path: string): Promise<void> => {
  const made = (folder: string, file: string, text: string, mode = 0o644): void => {
    writeFileSync(`${folder}/${file}`, text, { mode });
  };
  for (const name of ["ryuk", "image", "project"]) {
    await Bun.write(`${home}/${name}/.keep`, "");
  }
  copyFileSync(path, `${home}/ryuk/ryuk`);
  made(
    `${home}/ryuk`,
    "Dockerfile",
    'FROM scratch\nCOPY ryuk /bin/ryuk\nCMD ["/bin/ryuk"]\nLABEL org.testcontainers.ryuk=true\n',
  );
  made(`${home}/image`, "Dockerfile", `FROM ${BUSYBOX}\nRUN echo built > /built\n`);
  made(
    `${home}/project`,
    "compose.yaml",
    `services: { web: { image: "${BUSYBOX}", command: sh -c "echo up; sleep 600", volumes: ["d:/d"] } }\nvolumes: { d: {} }\n`,
  );
  made(home, "naru", `#!/bin/sh\nNARU_HOST=${engine.host} exec ${naruBinary()} "$@"\n`, 0o755);
  await dockerOk("build", "-q", "-t", IMAGE, `${home}/ryuk`);
};

test.skipIf("missing" in program)(
  "a test process that is killed leaves nothing: its reaper takes containers, networks, volumes, images, a compose project",
  async () => {
    if ("missing" in program) return;
    await prepare(program.path);
    const child = Bun.spawn([process.execPath, "-e", session()], {
      cwd: import.meta.dir,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
      env: {
        ...process.env,
        DOCKER_HOST: engine.host,
        TESTCONTAINERS_HOST_OVERRIDE: engine.hostIp,
        TESTCONTAINERS_RYUK_DISABLED: "",
        TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT: "1s",
        RYUK_CONTAINER_IMAGE: IMAGE,
      },
    });
    try {
      const told = await child.stdout.getReader().read();
      const { sessionId, compose } = JSON.parse(Buffer.from(told.value ?? []).toString());
      expect(kindsOf(await belongings(sessionId))).toEqual(["images", "network", "ps", "volume"]);
      expect(await belongings(sessionId)).toContain(`ps ${String(compose).slice(0, 12)}`);
      child.kill("SIGKILL");
      await child.exited;
      await until(
        "all of it is gone, the reaper at last",
        async () => (await belongings(sessionId)).length === 0,
        60_000,
      );
    } finally {
      child.kill("SIGKILL");
      await docker(["rmi", "-f", IMAGE]);
    }
  },
  150_000,
);
