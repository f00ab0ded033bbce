/** Rows 6 to 9: listing, memory and idle cost of 100 containers, API throughput, engine start. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

import { interleave, timed, type Measure } from "../figures.ts";
import { load } from "../load.ts";
import {
  create,
  enginePids,
  IMAGE,
  procNumber,
  removed,
  STARTERS,
  subjectOf,
  type Subject,
} from "../subjects.ts";
import { busyboxRoot, BUSYBOX_CONFIG, dockerArchive } from "../../test/harness/images.ts";
import { writeTar } from "../../test/harness/tar.ts";
import { burst, removeAll, stepsOf, type RowOptions } from "./start.ts";

const availableKiB = (): number => {
  // Written pages first: dropping takes clean ones only.
  Bun.spawnSync(["sync"]);
  writeFileSync("/proc/sys/vm/drop_caches", "3");
  return Number(/MemAvailable:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0);
};

/** Nanoseconds on a CPU by thread of the engine's processes (`schedstat`, first field). */
const cpuByThread = (subject: Subject): ReadonlyMap<string, number> => {
  const threads = new Map<string, number>();
  for (const pid of enginePids(subject)) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      try {
        const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8");
        threads.set(thread, Number(text.split(" ")[0]));
      } catch {
        // A thread ended meanwhile.
      }
    }
  }
  return threads;
};

/** What was spent between two looks; a thread that ended between them is not counted. */
const cpuBetween = (
  before: ReadonlyMap<string, number> | undefined,
  after: ReadonlyMap<string, number>,
): number => {
  let sum = 0;
  for (const [thread, spent] of after) sum += spent - (before?.get(thread) ?? 0);
  return sum;
};

/** What memory `count` containers take from the machine; not a number where others' gave more. */
const memoryEach = async (
  subject: Subject,
  count: number,
): Promise<{ mebibytes: number; ids: readonly string[] }> => {
  await Bun.sleep(1_500);
  const before = availableKiB();
  const { ids } = await burst(subject, count);
  await Bun.sleep(1_500);
  const mebibytes = (before - availableKiB()) / 1024 / count;
  return { mebibytes: mebibytes > 0 ? mebibytes : Number.NaN, ids };
};

/** The latency of one list on one connection, by a client that costs next to nothing. */
const listing = async (subject: Subject, expected: number): Promise<number> => {
  const body = await subject.ok("GET", "/containers/json");
  const { length } = JSON.parse(body.toString()) as unknown[];
  if (length < expected) throw new Error(`${subject.name} lists ${length} of ${expected}`);
  const result = await load(`unix:${subject.socketPath}`, 1, 0.2, "/containers/json");
  if (result.failures > 0) throw new Error(`${subject.name}: ${result.failures} failed lists`);
  return result.p50Ms;
};

/** 6, 8, 9: with 100 containers up: list, memory each, CPU of the idle engine. */
export const densityRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const count = isQuick ? 40 : 100;
  const memory: Record<string, number[]> = {};
  const cpu: Record<string, number[]> = {};
  const ids = new Map<string, readonly string[]>();
  try {
    for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
      for (const subject of subjects) {
        await removeAll(subject, ids.get(subject.name) ?? []);
        const result = await memoryEach(subject, count);
        ids.set(subject.name, result.ids);
        (memory[subject.name] ??= []).push(result.mebibytes);
      }
    }
    const lists = await interleave(
      stepsOf(subjects, (subject) => listing(subject, count)),
      isQuick ? 5 : 15,
      1,
    );
    const seconds = isQuick ? 5 : 20;
    // Idle means that what followed the last burst is over: pools, compilers, collectors.
    await Bun.sleep(isQuick ? 3_000 : 15_000);
    const before = subjects.map(cpuByThread);
    await Bun.sleep(seconds * 1000);
    for (const [index, subject] of subjects.entries()) {
      const spent = cpuBetween(before[index], cpuByThread(subject));
      cpu[subject.name] = [(spent / 1e9 / seconds) * 100];
    }
    return [
      { id: "density.list", title: `list of ${count} running`, unit: "ms", samples: lists },
      { id: "density.memory", title: "memory per container", unit: "MiB", samples: memory },
      { id: "density.cpu", title: `idle CPU with ${count} up`, unit: "% of a core", samples: cpu },
    ];
  } finally {
    for (const subject of subjects) await removeAll(subject, ids.get(subject.name) ?? []);
  }
};

/** 3 and 6 at size: 1,000 containers on naru; the rate must not fall, the list stays quick. */
export const scaleRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const subject = subjects.find((one) => one.name === "naru");
  if (subject === undefined) return [];
  const total = isQuick ? 200 : 1_000;
  const step = total / 10;
  const rates: number[] = [];
  const ids: string[] = [];
  let failures = 0;
  try {
    while (ids.length + failures < total) {
      const result = await burst(subject, step);
      ids.push(...result.ids);
      failures += result.failures;
      rates.push(result.perSecond);
    }
    const lists: number[] = [];
    for (let round = 0; round < 10; round += 1) lists.push(await listing(subject, ids.length));
    const early = ((rates[0] ?? 0) + (rates[1] ?? 0)) / 2;
    const late = ((rates.at(-1) ?? 0) + (rates.at(-2) ?? 0)) / 2;
    const title = `${total} containers`;
    return [
      {
        id: "scale.rate",
        title: `${title}: last rate over the first`,
        unit: "x",
        samples: { naru: [late / early] },
        note: rates.map((rate) => rate.toFixed(0)).join(" "),
      },
      { id: "scale.failures", title: `${title}: failed`, unit: "", samples: { naru: [failures] } },
      { id: "scale.list", title: `${title}: list`, unit: "ms", samples: { naru: lists } },
    ];
  } finally {
    await removeAll(subject, ids);
  }
};

/** 7: requests a second and the tail, also while an image is loaded. */
export const apiRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const seconds = isQuick ? 1 : 3;
  const rounds = isQuick ? 2 : 5;
  const tails: Record<string, number[]> = {};
  const ping =
    (connections: number) =>
    async (subject: Subject): Promise<number> => {
      const result = await load(`unix:${subject.socketPath}`, connections, seconds, "/_ping");
      if (result.failures > 0) throw new Error(`${subject.name}: ${result.failures} failed pings`);
      if (connections === 16) (tails[subject.name] ??= []).push(result.p99Ms);
      return result.perSecond;
    };
  const one = await interleave(stepsOf(subjects, ping(1)), rounds, 1);
  const sixteen = await interleave(stepsOf(subjects, ping(16)), rounds, 0);
  const loaded: Record<string, number[]> = {};
  const root = writeTar(await busyboxRoot());
  for (const subject of subjects) {
    const bulk = Buffer.alloc((isQuick ? 32 : 128) * 1024 * 1024);
    for (let at = 0; at < bulk.length; at += 4096) bulk.writeDoubleLE(Math.random(), at);
    const archive = dockerArchive(
      [`bench/bulk:${subject.name}`],
      [root, writeTar([{ name: "bulk", body: bulk }])],
      BUSYBOX_CONFIG,
    );
    const file = `/tmp/naru-bench-${process.pid}.tar`;
    writeFileSync(file, archive);
    const loading = subject.cli("load", "-q", "-i", file);
    const result = await load(`unix:${subject.socketPath}`, 1, seconds, "/_ping");
    const out = await loading;
    rmSync(file);
    if (out.code !== 0) throw new Error(`${subject.name}: ${out.stderr}`);
    loaded[subject.name] = [result.p99Ms];
    await subject.call("DELETE", `/images/bench/bulk:${subject.name}`);
  }
  return [
    { id: "api.ping1", title: "/_ping, 1 connection", unit: "/s", samples: one },
    { id: "api.ping16", title: "/_ping, 16 connections", unit: "/s", samples: sixteen },
    { id: "api.p99", title: "the same, p99", unit: "ms", samples: tails },
    { id: "api.loaded", title: "/_ping p99 during an image load", unit: "ms", samples: loaded },
  ];
};

/** 9: memory of an idle engine and its start to the first answer, each in a world of its own. */
export const idleRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const rss: Record<string, number[]> = {};
  const starts: Record<string, number[]> = {};
  const lists: Record<string, number[]> = {};
  for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
    for (const { name } of subjects) {
      const starter = STARTERS[name];
      if (starter === undefined) continue;
      const engine = await starter.start();
      try {
        const fresh = subjectOf(engine);
        await fresh.ok("GET", "/info");
        await Bun.sleep(1_000);
        const kib = enginePids(fresh).reduce(
          (sum, pid) => sum + procNumber(pid, "status", /VmRSS:\s+(\d+)/),
          0,
        );
        (rss[name] ??= []).push(kib / 1024);
        (starts[name] ??= []).push(engine.readyMs);
        (lists[name] ??= []).push(engine.listMs);
      } finally {
        await engine.stop();
      }
    }
  }
  return [
    { id: "idle.rss", title: "memory of the idle engine", unit: "MiB", samples: rss },
    { id: "idle.start", title: "engine start to its first ping", unit: "ms", samples: starts },
    // Pings are answered before the rooms are up: this is when work can begin.
    { id: "idle.list", title: "engine start to its first list", unit: "ms", samples: lists },
  ];
};

/** `naru` beside `docker` as the client of the same naru daemon. */
export const cliRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const subject = subjects.find((one) => one.name === "naru");
  const { naruBinary } = await import("../../test/harness/naru.ts");
  if (subject === undefined || !existsSync(naruBinary())) return [];
  const { run } = await import("../../test/harness/process.ts");
  const naru = (...args: string[]): ReturnType<typeof run> =>
    run([naruBinary(), ...args], { env: { NARU_HOST: subject.engine.host } });
  const rounds = isQuick ? 8 : 25;
  const pair = async (id: string, title: string, args: readonly string[]): Promise<Measure> => {
    const step =
      (client: (...args: string[]) => ReturnType<typeof run>): (() => Promise<number>) =>
      () =>
        timed(async () => {
          const out = await client(...args);
          if (out.code !== 0) throw new Error(`${args.join(" ")}: ${out.stderr}`);
        });
    const samples = await interleave(
      { naru: step(naru), "docker-cli": step((...words) => subject.cli(...words)) },
      rounds,
    );
    return { id, title, unit: "ms", samples };
  };
  const id = await create(subject, { Cmd: ["sleep", "1"] });
  try {
    return [
      await pair("cli.run", "naru run --rm against docker's client", [
        "run",
        "--rm",
        IMAGE,
        "true",
      ]),
      await pair("cli.ps", "naru ps", ["ps", "-a"]),
      await pair("cli.version", "naru version", ["version"]),
    ];
  } finally {
    await removed(subject, id);
  }
};
