/** A project of ten services in a chain: up, up with nothing to do, down; each tool on its own engine. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";

import { dockerComposeBinary } from "../../test/harness/compose-binary.ts";
import { naruBinary } from "../../test/harness/naru.ts";
import { must } from "../../test/harness/process.ts";
import { interleave, timed, type Measure } from "../figures.ts";
import { dockerClient, IMAGE, type Subject } from "../subjects.ts";
import type { RowOptions } from "./start.ts";

const SERVICES = 10;

const projectFile = (): string => {
  const services = Array.from({ length: SERVICES }, (_, at) => {
    const needs = at === 0 ? "" : `, depends_on: [s${at - 1}]`;
    return `  s${at}: {image: "${IMAGE}", command: sleep 600, init: true${needs}}`;
  });
  return `services:\n${services.join("\n")}\n`;
};

interface Tool {
  run(...args: string[]): Promise<void>;
  /** Containers of the project that run. */
  running(): Promise<number>;
}

const toolOf = (subject: Subject, folder: string): Tool => {
  const argv = [subject.name === "naru" ? naruBinary() : dockerClient(), "compose"];
  const { host } = subject.engine;
  const env = { DOCKER_HOST: host, NARU_HOST: host, HOME: folder, DOCKER_CONFIG: `${folder}/..` };
  return {
    run: async (...args) => {
      await must([...argv, ...args], { cwd: folder, env, timeoutMs: 120_000 });
    },
    running: async () => {
      const filters = encodeURIComponent('{"label":["com.docker.compose.project=chain"]}');
      const found = await subject.ok("GET", `/containers/json?filters=${filters}`);
      return (JSON.parse(found.toString()) as unknown[]).length;
    },
  };
};

const expectRunning = async (tool: Tool, count: number): Promise<void> => {
  const found = await tool.running();
  if (found !== count) throw new Error(`${found} services run instead of ${count}`);
};

export const composeRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const base = mkdtempSync("/tmp/naru-bench-compose-");
  const folder = `${base}/chain`;
  mkdirSync(folder);
  writeFileSync(`${folder}/compose.yaml`, projectFile());
  if (dockerComposeBinary !== undefined) {
    mkdirSync(`${base}/cli-plugins`);
    symlinkSync(dockerComposeBinary, `${base}/cli-plugins/docker-compose`);
  }
  const shown = subjects.filter(({ name }) => name === "naru" || dockerComposeBinary !== undefined);
  if (shown.length < subjects.length) console.error("docker compose is not here and is left out");
  const tools = Object.fromEntries(shown.map((subject) => [subject.name, toolOf(subject, folder)]));
  const steps = (step: (tool: Tool) => Promise<number>) =>
    Object.fromEntries(Object.entries(tools).map(([name, tool]) => [name, () => step(tool)]));
  const up = async (tool: Tool): Promise<number> => {
    await tool.run("down", "-t", "0");
    const time = await timed(() => tool.run("up", "-d"));
    await expectRunning(tool, SERVICES);
    return time;
  };
  const down = async (tool: Tool): Promise<number> => {
    await tool.run("up", "-d");
    const time = await timed(() => tool.run("down"));
    await expectRunning(tool, 0);
    return time;
  };
  const again = (tool: Tool): Promise<number> => timed(() => tool.run("up", "-d"));
  try {
    const rounds = isQuick ? 3 : 7;
    const ups = await interleave(steps(up), rounds, 1);
    const nothing = await interleave(steps(again), isQuick ? 7 : 21, 2);
    const downs = await interleave(steps(down), rounds, 0);
    return [
      { id: "compose.up", title: `compose up, ${SERVICES} in a chain`, unit: "ms", samples: ups },
      { id: "compose.again", title: "compose up, nothing to do", unit: "ms", samples: nothing },
      { id: "compose.down", title: "compose down", unit: "ms", samples: downs },
    ];
  } finally {
    for (const tool of Object.values(tools)) await tool.run("down", "-t", "0");
    rmSync(base, { recursive: true, force: true });
  }
};
