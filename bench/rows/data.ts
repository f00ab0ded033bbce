/** Rows 12, 16, 17 and 19: images in and out, published ports, and much output. */
import { rmSync, statSync, writeFileSync } from "node:fs";

import { interleave, timed, type Measure } from "../figures.ts";
import { load } from "../load.ts";
import {
  create,
  dockerClient,
  IMAGE,
  inspected,
  removed,
  started,
  type Subject,
} from "../subjects.ts";
import { BUSYBOX_CONFIG, dockerArchive } from "../../test/harness/images.ts";
import { run } from "../../test/harness/process.ts";
import { writeTar, type TarEntry } from "../../test/harness/tar.ts";
import { stepsOf, type RowOptions } from "./start.ts";

/** A layer of `megabytes` in files of 32 KiB, half of it compressible, different each time. */
const freshLayer = (megabytes: number): Buffer => {
  const entries: TarEntry[] = [];
  for (let index = 0; index < megabytes * 32; index += 1) {
    const body = Buffer.alloc(32 * 1024, index % 251);
    crypto.getRandomValues(new Uint8Array(body.buffer, body.byteOffset, 16 * 1024));
    entries.push({ name: `files/${index % 64}-${index}`, body });
  }
  return writeTar([{ name: "files", type: "dir" }, ...entries]);
};

/**
 * 12: save to and load from a file. Each round has an image of its own, removed only at the end:
 * deleting and unpacking again would measure the file system's memory of deleted inodes.
 */
export const imageRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const megabytes = isQuick ? 40 : 200;
  const rounds = isQuick ? 2 : 4;
  const saves: Record<string, number[]> = {};
  const loads: Record<string, number[]> = {};
  const made: { subject: Subject; tag: string }[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      const tag = `bench/image${process.pid}:${round}`;
      const archive = dockerArchive([tag], [freshLayer(megabytes)], BUSYBOX_CONFIG);
      const config = /"Config":"([0-9a-f]{64})/.exec(archive.subarray(-8192).toString())?.[1] ?? "";
      const file = `/tmp/naru-bench-image-${process.pid}.tar`;
      writeFileSync(file, archive);
      for (const subject of subjects) {
        made.push({ subject, tag });
        const took = await timed(() => subject.cli("load", "-q", "-i", file));
        const inspect = JSON.parse((await subject.ok("GET", `/images/${tag}/json`)).toString()) as {
          Id: string;
        };
        if (config !== "" && inspect.Id !== `sha256:${config}` && subject.name !== "naru") {
          throw new Error(`${subject.name}: loaded ${inspect.Id} for ${config}`);
        }
        (loads[subject.name] ??= []).push(took);
        const out = `/tmp/naru-bench-saved-${process.pid}.tar`;
        const saved = await timed(() => subject.cli("save", "-o", out, tag));
        if (statSync(out).size < megabytes * 1024 * 1024) throw new Error("a short save");
        (saves[subject.name] ??= []).push(saved);
        rmSync(out);
      }
      rmSync(file);
    }
  } finally {
    for (const { subject, tag } of made) await subject.call("DELETE", `/images/${tag}?force=1`);
  }
  return [
    { id: "image.load", title: `load of ${megabytes} MB`, unit: "ms", samples: loads },
    { id: "image.save", title: `save of ${megabytes} MB`, unit: "ms", samples: saves },
  ];
};

/** A server of ours inside a container's network: no weight of the program inside is measured. */
const SERVER = `Bun.serve({port:8080,hostname:"0.0.0.0",fetch:()=>new Response("hello")})`;

/** 16: the path of a published port against the direct one. */
export const pathRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const seconds = isQuick ? 1 : 3;
  const rounds = isQuick ? 2 : 5;
  const measures: Record<"loopback" | "host", Record<string, number[]>> = {
    loopback: {},
    host: {},
  };
  const tails: Record<string, number[]> = {};
  let port = 42_000;
  for (const subject of subjects) {
    port += 1;
    const id = await started(subject, {
      Cmd: ["sleep", "3600"],
      ExposedPorts: { "8080/tcp": {} },
      HostConfig: { PortBindings: { "8080/tcp": [{ HostPort: String(port) }] } },
    });
    const { State, NetworkSettings } = await inspected(subject, id);
    const server = Bun.spawn(
      ["nsenter", "-t", String(State.Pid), "-n", "--", process.execPath, "-e", SERVER],
      { stdin: "ignore", stdout: "ignore", stderr: "inherit" },
    );
    const net = subject.engine.enter.filter((word) => word !== "-m");
    const direct = NetworkSettings.Networks["bridge"]?.IPAddress ?? "";
    const drive = (address: string, tail?: string) => async (): Promise<number> => {
      const result = await load(`tcp:${address}`, 16, seconds, "/", net);
      if (result.failures > 0) throw new Error(`${subject.name}: ${result.failures} failures`);
      if (tail !== undefined) (tails[tail] ??= []).push(result.p99Ms);
      return result.perSecond;
    };
    try {
      await Bun.sleep(500);
      const samples = await interleave(
        {
          direct: drive(`${direct}:8080`, `${subject.name}-direct`),
          loopback: drive(`127.0.0.1:${port}`, subject.name),
          host: drive(`${subject.engine.hostIp}:${port}`),
        },
        rounds,
        1,
      );
      for (const path of ["loopback", "host"] as const) {
        measures[path][subject.name] = samples[path] ?? [];
        if (subject.name === "naru") measures[path]["direct"] = samples["direct"] ?? [];
      }
    } finally {
      server.kill("SIGKILL");
      await server.exited;
      await removed(subject, id);
    }
  }
  return [
    {
      id: "path.loopback",
      title: "published port, 127.0.0.1",
      unit: "/s",
      samples: measures.loopback,
    },
    { id: "path.host", title: "published port, host address", unit: "/s", samples: measures.host },
    { id: "path.p99", title: "127.0.0.1, p99", unit: "ms", samples: tails },
  ];
};

/** 17: what 100 published ports add to a start and to a removal, and the processes they cost. */
export const portsRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const rounds = isQuick ? 2 : 6;
  const removals: Record<string, number[]> = {};
  const processes: Record<string, number[]> = {};
  const bindings = Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [`${1000 + i}/tcp`, [{ HostPort: String(41_000 + i) }]]),
  );
  const proxies = async (): Promise<number> =>
    Number((await run(["sh", "-c", "pgrep -c docker-proxy || true"])).stdout.trim());
  const cycle = async (
    subject: Subject,
    body: Parameters<typeof create>[1],
  ): Promise<{ start: number; rm: number; proxies: number }> => {
    const id = await create(subject, body);
    const before = await proxies();
    const start = await timed(() => subject.ok("POST", `/containers/${id}/start`));
    const after = await proxies();
    const { NetworkSettings } = await inspected(subject, id);
    const wanted = Object.keys(body.ExposedPorts ?? {}).length;
    const bound = Object.values(NetworkSettings.Ports).filter((list) => list !== null).length;
    if (bound !== wanted) throw new Error(`${subject.name}: ${bound} of ${wanted} ports`);
    const rm = await timed(() => removed(subject, id));
    return { start, rm, proxies: after - before };
  };
  const step = async (subject: Subject): Promise<number> => {
    const Cmd = ["sleep", "3600"];
    const plain = await cycle(subject, { Cmd });
    const full = await cycle(subject, {
      Cmd,
      ExposedPorts: Object.fromEntries(Object.keys(bindings).map((key) => [key, {}])),
      HostConfig: { PortBindings: bindings },
    });
    (removals[subject.name] ??= []).push(Math.max(full.rm - plain.rm, 0.1));
    (processes[subject.name] ??= []).push(full.proxies);
    return Math.max(full.start - plain.start, 0.1);
  };
  const starts = await interleave(stepsOf(subjects, step), rounds, 0);
  return [
    { id: "ports.start", title: "100 ports, added to start", unit: "ms", samples: starts },
    { id: "ports.rm", title: "100 ports, added to rm -f", unit: "ms", samples: removals },
    { id: "ports.processes", title: "100 ports, processes", unit: "", samples: processes },
  ];
};

/** 19: 100 MB of lines through an attached client, and the log is whole. */
export const stdoutRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const megabytes = isQuick ? 20 : 100;
  const bytes = megabytes * 1_000_000;
  const script = `yes 0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLM | head -c ${bytes}`;
  const step = async (subject: Subject): Promise<number> => {
    const file = `/tmp/naru-bench-out-${process.pid}`;
    const begin = performance.now();
    const child = Bun.spawn(
      [dockerClient(), "-H", subject.engine.host, "run", "--rm", IMAGE, "sh", "-c", script],
      { stdin: "ignore", stdout: Bun.file(file), stderr: "pipe" },
    );
    const code = await child.exited;
    const took = performance.now() - begin;
    const { size } = statSync(file);
    if (code !== 0 || size !== bytes) throw new Error(`${subject.name}: ${size} of ${bytes} bytes`);
    rmSync(file);
    return took;
  };
  const pipe = (): Promise<number> => timed(() => run(["sh", "-c", `${script} | cat > /dev/null`]));
  const samples = await interleave({ ...stepsOf(subjects, step), floor: pipe }, isQuick ? 2 : 5, 1);
  return [{ id: "stdout.cli", title: `${megabytes} MB of stdout`, unit: "ms", samples }];
};
