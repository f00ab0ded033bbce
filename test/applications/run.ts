/**
 * Real applications on naru, by docker compose and by naru compose: `bun test/applications/run.ts [NAME…]`.
 *
 * Each folder of projects/ has a compose file, a session (`compose …` and questions to what came up)
 * and the answers it must give. Both tools play the same session; then what the engine has must be
 * the same: containers, networks, volumes, labels, health. After `down` nothing may be left.
 * Where docker compose is missing, naru's half runs. `--write` writes the answers of docker compose.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

import { clientBinary } from "../harness/client-binary.ts";
import { dockerComposeBinary } from "../harness/compose-binary.ts";
import { api } from "../harness/http.ts";
import { naruBinary, startNaru } from "../harness/naru.ts";
import { must, run } from "../harness/process.ts";
import { imageArchive } from "./images.ts";
import { differences, inventoryOf, type Inventory } from "./inventory.ts";

const PROJECTS = `${import.meta.dir}/projects`;
const JOBS = Number(process.env["APPLICATIONS_JOBS"] ?? 3);
const isWriting = process.argv.includes("--write");
const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const names = readdirSync(PROJECTS).filter((name) => wanted.length === 0 || wanted.includes(name));

type Tool = "docker" | "naru";

const folder = mkdtempSync("/tmp/naru-applications-");
const tools: readonly Tool[] = dockerComposeBinary === undefined ? ["naru"] : ["docker", "naru"];
if (tools.length === 1)
  console.log("docker compose is not on this machine: naru's half runs alone");

/** `compose` on the PATH is the tool whose session it is; `docker` is the real client. */
const writeCommands = (host: string): void => {
  const script = (tool: string, name: string, line: string): void => {
    mkdirSync(`${folder}/bin/${tool}`, { recursive: true });
    writeFileSync(`${folder}/bin/${tool}/${name}`, `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  };
  mkdirSync(`${folder}/config/cli-plugins`, { recursive: true });
  const client = `DOCKER_HOST=${host} DOCKER_CONFIG=${folder}/config exec ${clientBinary()}`;
  for (const tool of tools) script(tool, "docker", `${client} "$@"`);
  script("naru", "compose", `NARU_HOST=${host} exec ${naruBinary()} compose "$@"`);
  if (dockerComposeBinary === undefined) return;
  script("docker", "compose", `${client} compose "$@"`);
  const plugins = dirname(dockerComposeBinary);
  for (const name of readdirSync(plugins)) {
    symlinkSync(`${plugins}/${name}`, `${folder}/config/cli-plugins/${name}`);
  }
};

interface Played {
  readonly answers: string;
  readonly inventory: Inventory;
  readonly left: Inventory;
  readonly complaints: readonly string[];
  readonly seconds: number;
}

const engine = await startNaru();
const socketPath = engine.host.replace(/^unix:\/\//, "");
/** The engine's network, this machine's files: published ports are at 127.0.0.1. */
const enter = engine.enter.filter((word) => word !== "-m");

const play = async (name: string, tool: Tool): Promise<Played> => {
  const home = `${folder}/projects/${name}`;
  rmSync(home, { recursive: true, force: true });
  cpSync(`${PROJECTS}/${name}`, home, { recursive: true });
  const project = `apps-${name}`;
  const options = {
    cwd: home,
    env: {
      PATH: `${folder}/bin/${tool}:${process.env["PATH"]}`,
      HOME: folder,
      COMPOSE_PROJECT_NAME: project,
      COMPOSE_PROGRESS: "plain",
    },
  };
  const began = performance.now();
  const session = await run([...enter, "sh", "-eu", "session.sh"], {
    ...options,
    timeoutMs: 400_000,
  });
  const inventory = await inventoryOf(socketPath, project);
  const complaints: string[] = [];
  if (session.code !== 0) {
    complaints.push(
      `${tool}: the session ended with ${session.code}:\n${session.stderr.slice(-3000)}`,
    );
  }
  const args = ["--profile", "*", "down", "-v", "--remove-orphans", "--rmi", "local", "-t", "5"];
  const down = await run([...enter, "compose", ...args], { ...options, timeoutMs: 200_000 });
  if (down.code !== 0) complaints.push(`${tool}: down ended with ${down.code}: ${down.stderr}`);
  const seconds = (performance.now() - began) / 1000;
  const left = await inventoryOf(socketPath, project);
  return { answers: session.stdout, inventory, left, complaints, seconds };
};

const judge = (name: string, tool: Tool, played: Played): string[] => {
  const file = `${PROJECTS}/${name}/answers.txt`;
  if (isWriting && tool === tools[0]) writeFileSync(file, played.answers);
  const expected = existsSync(file) ? readFileSync(file, "utf8") : "";
  const found = [...played.complaints];
  if (played.answers !== expected) {
    found.push(`${tool}: answers\n${played.answers}-- instead of\n${expected}`);
  }
  const remains = Object.values(played.left).flatMap((kind) => Object.keys(kind as object));
  if (remains.length > 0) found.push(`${tool}: left after down: ${remains.join(", ")}`);
  return found;
};

let [passed, failed] = [0, 0];
const played = new Map<string, Played>();

const tell = (line: string, complaints: readonly string[]): void => {
  if (complaints.length === 0) passed += 1;
  else failed += 1;
  console.log(`${complaints.length === 0 ? "ok  " : "FAIL"} ${line}`);
  for (const complaint of complaints) console.log(`     ${complaint.replaceAll("\n", "\n     ")}`);
};

const runProject = async (name: string, tool: Tool): Promise<void> => {
  const one = await play(name, tool);
  const complaints = judge(name, tool, one);
  const other = played.get(name);
  if (other !== undefined) complaints.push(...differences(other.inventory, one.inventory));
  played.set(name, one);
  tell(`${name} by ${tool} (${one.seconds.toFixed(1)} s)`, complaints);
};

/** What no session made may be on the engine in the end. */
const strays = async (): Promise<string[]> => {
  const get = async <T>(path: string): Promise<T> => (await api(socketPath, "GET", path)).json<T>();
  const containers = await get<{ Names: string[] }[]>("/containers/json?all=1");
  const networks = await get<{ Name: string }[]>("/networks");
  const { Volumes } = await get<{ Volumes: { Name: string }[] | null }>("/volumes");
  return [
    ...containers.map(({ Names }) => `container ${Names.join()}`),
    ...networks
      .filter(({ Name }) => !["bridge", "host", "none"].includes(Name))
      .map(({ Name }) => `network ${Name}`),
    ...(Volumes ?? []).map(({ Name }) => `volume ${Name}`),
  ];
};

/** Anonymous volumes outlive their containers without `down -v`: those stay with both tools alike. */
const isAnonymous = (stray: string): boolean => /^volume [0-9a-f]{64}$/.test(stray);
const forgotten: number[] = [];

/** After all sessions of a tool: what is left is told, anonymous volumes are compared and swept. */
const sweep = async (tool: Tool): Promise<void> => {
  const left = await strays();
  const volumes = left.filter(isAnonymous);
  for (const stray of volumes) {
    await api(socketPath, "DELETE", `/volumes/${stray.slice("volume ".length)}`);
  }
  const complaints = left.filter((stray) => !isAnonymous(stray));
  forgotten.push(volumes.length);
  if (volumes.length > (forgotten[0] ?? 0)) {
    complaints.push(`anonymous volumes: ${volumes.length} instead of ${forgotten[0] ?? 0}`);
  }
  tell(`nothing is left by ${tool}`, complaints);
};

const began = performance.now();
const since = (): string => `${((performance.now() - began) / 1000).toFixed(0)} s`;
try {
  writeCommands(engine.host);
  const archive = await imageArchive(folder);
  await must([naruBinary(), "load", "-q", "-i", archive], {
    env: { NARU_HOST: engine.host },
    timeoutMs: 600_000,
  });
  console.log(`images are there after ${since()}`);
  for (const tool of tools) {
    const queue = [...names];
    const worker = async (): Promise<void> => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
        await runProject(name, tool);
      }
    };
    await Promise.all(Array.from({ length: JOBS }, worker));
    await sweep(tool);
  }
} finally {
  for (const thing of await engine.stop()) {
    failed += 1;
    console.log(`left over: ${thing}`);
  }
  rmSync(folder, { recursive: true, force: true });
}
console.log(since());
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
