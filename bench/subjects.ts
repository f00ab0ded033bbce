/** The engines of a benchmark run, with a fast client and the words rows are written in. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import http from "node:http";

import { clientBinary } from "../test/harness/client-binary.ts";
import type { StartedEngine } from "../test/harness/engine.ts";
import { loadFixtures } from "../test/harness/fixtures.ts";
import { naruBinary, startNaru } from "../test/harness/naru.ts";
import { run, type Output } from "../test/harness/process.ts";
import { hasDocker20, hasDocker28, startDocker20, startDocker28 } from "../test/peer/docker.ts";

export const IMAGE = "e2e/busybox:latest";

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export interface Subject {
  readonly name: string;
  readonly engine: StartedEngine;
  readonly socketPath: string;
  /** One request on a kept-alive connection; any status is an answer. */
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  /** As `call`, a status of 400 and more throws. */
  ok(method: string, path: string, body?: unknown): Promise<Buffer>;
  /** Runs a command line of the one docker client of this bench. */
  cli(...args: string[]): Promise<Output>;
}

/** One client binary for all engines: packagings of the same client differ in start cost. */
export const dockerClient = clientBinary;

const clientFor = (socketPath: string): Subject["call"] => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const headers = {
        Host: "localhost",
        ...(bytes === undefined
          ? {}
          : { "Content-Type": "application/json", "Content-Length": String(bytes.length) }),
      };
      const request = http.request({ socketPath, path, method, agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }),
        );
        response.on("error", reject);
      });
      request.on("error", reject);
      request.end(bytes);
    });
};

export const subjectOf = (engine: StartedEngine): Subject => {
  const socketPath = engine.host.replace(/^unix:\/\//, "");
  const call = clientFor(socketPath);
  const client = dockerClient();
  return {
    name: engine.kind,
    engine,
    socketPath,
    call,
    ok: async (method, path, body) => {
      const answer = await call(method, path, body);
      if (answer.status >= 400) {
        throw new Error(
          `${engine.kind} ${method} ${path}: ${answer.status} ${answer.body.toString()}`,
        );
      }
      return answer.body;
    },
    cli: (...args) => run([client, "-H", engine.host, ...args], { timeoutMs: 300_000 }),
  };
};

export const STARTERS: Record<string, { isThere(): boolean; start(): Promise<StartedEngine> }> = {
  naru: {
    isThere: () => {
      try {
        return naruBinary() !== "";
      } catch {
        return false;
      }
    },
    start: startNaru,
  },
  docker28: { isThere: hasDocker28, start: startDocker28 },
  docker20: { isThere: hasDocker20, start: startDocker20 },
};

/**
 * Starts naru and one peer (28.5, else 20.10) with the test image in each; `--subjects a,b` chooses.
 * What is missing is said, not fatal.
 */
export const startSubjects = async (wanted: readonly string[]): Promise<readonly Subject[]> => {
  const subjects: Subject[] = [];
  for (const name of wanted) {
    const starter = STARTERS[name];
    if (starter === undefined) throw new Error(`"${name}" is no subject of the benchmarks`);
    if (!starter.isThere()) {
      console.error(`${name} is not on this machine and is left out`);
      continue;
    }
    const engine = await starter.start();
    await loadFixtures(engine.host.replace(/^unix:\/\//, ""));
    subjects.push(subjectOf(engine));
  }
  return subjects;
};

export interface CreateBody {
  readonly Cmd: readonly string[];
  readonly HostConfig?: Readonly<Record<string, unknown>>;
  readonly ExposedPorts?: Readonly<Record<string, unknown>>;
  readonly OpenStdin?: boolean;
}

export const create = async (subject: Subject, body: CreateBody): Promise<string> => {
  const answer = await subject.ok("POST", "/containers/create", { Image: IMAGE, ...body });
  return (JSON.parse(answer.toString()) as { Id: string }).Id;
};

export const started = async (subject: Subject, body: CreateBody): Promise<string> => {
  const id = await create(subject, body);
  await subject.ok("POST", `/containers/${id}/start`);
  return id;
};

export const removed = async (subject: Subject, id: string): Promise<void> => {
  await subject.ok("DELETE", `/containers/${id}?force=1&v=1`);
};

export interface Inspected {
  readonly State: { readonly Status: string; readonly Pid: number; readonly ExitCode: number };
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, readonly unknown[] | null>>;
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>>;
  };
}

export const inspected = async (subject: Subject, id: string): Promise<Inspected> =>
  JSON.parse((await subject.ok("GET", `/containers/${id}/json`)).toString()) as Inspected;

/** A container is what it must be: output, code, seccomp, capabilities, a cgroup of its own. */
export const assertSound = async (subject: Subject): Promise<void> => {
  const script =
    "grep -wE 'Seccomp:|CapEff:' /proc/self/status; cat /proc/self/cgroup; ip -o -4 addr show eth0; exit 7";
  const out = await subject.cli("run", "--rm", "--cgroupns", "host", IMAGE, "sh", "-c", script);
  const isSound =
    out.code === 7 &&
    /Seccomp:\s+2/.test(out.stdout) &&
    out.stdout.includes("00000000a80425fb") &&
    /[0-9a-f]{64}/.test(out.stdout) &&
    out.stdout.includes("inet ");
  if (!isSound)
    throw new Error(`${subject.name} runs no sound container: ${out.stdout}${out.stderr}`);
};

/** Process ids of the engine itself: what lives in its mount namespace and is no monitor. */
export const enginePids = (subject: Subject): readonly number[] => {
  const mine = readlinkSync(`/proc/${subject.engine.pid}/ns/mnt`);
  const found: number[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      if (readlinkSync(`/proc/${pid}/ns/mnt`) !== mine) continue;
      const comm = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      if (["dockerd", "containerd", "naru"].includes(comm)) found.push(pid);
    } catch {
      // The process ended meanwhile.
    }
  }
  return found.includes(subject.engine.pid) ? found : [subject.engine.pid, ...found];
};

export const procNumber = (pid: number, file: string, pattern: RegExp): number =>
  Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? 0);
