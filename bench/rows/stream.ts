/** Row 19: bulk over TCP between two containers of one network, and through a published port. */
import { existsSync } from "node:fs";

import { must } from "../../test/harness/process.ts";
import { interleave, type Measure } from "../figures.ts";
import { inspected, removed, started, type Subject } from "../subjects.ts";
import type { RowOptions } from "./start.ts";

const binary = `/tmp/naru-bench-stream-${process.pid}`;
process.on("exit", () => Bun.spawnSync(["rm", "-f", binary]));

const PORT = 5201;

const build = async (): Promise<void> => {
  if (existsSync(binary)) return;
  await must(["cc", "-O2", "-o", binary, `${import.meta.dir}/../native/stream.c`]);
};

const within = (pid: number): string[] => ["nsenter", "-t", String(pid), "-n", "--"];

/** Gbit/s; the program fails unless every byte arrived. */
const send = async (
  enter: readonly string[],
  address: string,
  port: number,
  seconds: number,
): Promise<number> => {
  const argv = [...enter, binary, "send", address, String(port), String(seconds)];
  const [bytes = 0, took = 1] = (await must(argv)).trim().split(" ").map(Number);
  return (bytes * 8) / took / 1e9;
};

interface Pair {
  readonly send: {
    readonly pair: () => Promise<number>;
    readonly published: () => Promise<number>;
  };
  readonly end: () => Promise<void>;
}

/** Two containers on a network of their own, the second with the sink and a published port. */
const makePair = async (subject: Subject, hostPort: number, seconds: number): Promise<Pair> => {
  const network = `bench-stream-${hostPort}`;
  await subject.ok("POST", "/networks/create", { Name: network });
  const Cmd = ["sleep", "3600"];
  const from = await started(subject, { Cmd, HostConfig: { NetworkMode: network } });
  const to = await started(subject, {
    Cmd,
    ExposedPorts: { [`${PORT}/tcp`]: {} },
    HostConfig: {
      NetworkMode: network,
      PortBindings: { [`${PORT}/tcp`]: [{ HostPort: String(hostPort) }] },
    },
  });
  const [client, server] = [await inspected(subject, from), await inspected(subject, to)];
  const address = server.NetworkSettings.Networks[network]?.IPAddress ?? "";
  const sink = Bun.spawn([...within(server.State.Pid), binary, "sink", String(PORT)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  await sink.stdout.getReader().read();
  const host = subject.engine.enter.filter((word) => word !== "-m");
  return {
    send: {
      pair: () => send(within(client.State.Pid), address, PORT, seconds),
      published: () => send(host, subject.engine.hostIp, hostPort, seconds),
    },
    end: async () => {
      sink.kill("SIGKILL");
      await sink.exited;
      for (const id of [from, to]) await removed(subject, id);
      await subject.ok("DELETE", `/networks/${network}`);
    },
  };
};

export const streamRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  await build();
  const pairs = new Map<string, Pair>();
  let port = 43_000;
  try {
    for (const subject of subjects) {
      pairs.set(subject.name, await makePair(subject, (port += 1), isQuick ? 0.5 : 2));
    }
    const samplesOf = (path: "pair" | "published") =>
      interleave(
        Object.fromEntries([...pairs].map(([name, pair]) => [name, pair.send[path]])),
        isQuick ? 3 : 7,
        1,
      );
    return [
      {
        id: "stream.pair",
        title: "between two containers",
        unit: "Gbit/s",
        samples: await samplesOf("pair"),
      },
      {
        id: "stream.published",
        title: "through a published port",
        unit: "Gbit/s",
        samples: await samplesOf("published"),
      },
    ];
  } finally {
    for (const pair of pairs.values()) await pair.end();
  }
};
