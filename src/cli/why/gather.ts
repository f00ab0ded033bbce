/** Collects the facts about one container: its state, its log, and its ports as they answer. */
import type { Client } from "#client/client.ts";
import { Connection } from "#client/connection.ts";
import { hijack } from "#client/hijack.ts";
import { demultiplex } from "#client/stream.ts";
import { isZeroTime } from "#cli/format/time.ts";
import type { HealthFact, PortFact, WhyFacts } from "#cli/why/facts.ts";
import { parseListeners } from "#cli/why/listeners.ts";
import type { Listener } from "#cli/why/listeners.ts";
import { sleep } from "#lib/clock.ts";
import { hasCode } from "#lib/errors.ts";
import type { InspectResponse } from "#spec/docker/container.ts";

const LOG_LINES = "20";
const CONNECT_LIMIT_MS = 1000;

const readLog = async (client: Client, container: InspectResponse): Promise<string[]> => {
  const response = await client.call("containerLogs", {
    id: container.Id,
    query: { stdout: true, stderr: true, tail: LOG_LINES },
  });
  const parts: Uint8Array[] = [];
  if (container.Config.Tty) {
    for await (const chunk of response.body) parts.push(chunk);
  } else {
    for await (const { bytes } of demultiplex(response.body)) parts.push(bytes);
  }
  const text = Buffer.concat(parts).toString("utf8");
  return text.split(/\r?\n/).filter((line) => line.trim() !== "");
};

/** Some log drivers cannot be read; then there are simply no lines to quote. */
const readLogOrNothing = async (client: Client, container: InspectResponse): Promise<string[]> => {
  try {
    return await readLog(client, container);
  } catch (error) {
    if (hasCode(error, "internal") || hasCode(error, "not_implemented")) return [];
    throw error;
  }
};

const accepts = async (hostname: string, port: number): Promise<boolean> => {
  const attempt = Connection.open({ kind: "tcp", hostname, port }).then(
    (connection) => {
      connection.close();
      return true;
    },
    () => false,
  );
  return Promise.race([attempt, sleep(CONNECT_LIMIT_MS).then(() => false)]);
};

/** By the process's own tables when it runs on this machine, else by `cat` in the container. */
const readListeners = async (
  client: Client,
  container: InspectResponse,
  isLocal: boolean,
): Promise<Listener[] | undefined> => {
  const tables = ["tcp", "tcp6"];
  if (isLocal && container.State.Pid > 0) {
    const files = tables.map((table) =>
      Bun.file(`/proc/${String(container.State.Pid)}/net/${table}`),
    );
    try {
      return parseListeners((await Promise.all(files.map((file) => file.text()))).join("\n"));
    } catch {
      // Not our machine after all, or not our process: ask inside.
    }
  }
  const { Id } = await client.call("execCreate", {
    id: container.Id,
    body: {
      Cmd: ["cat", ...tables.map((table) => `/proc/net/${table}`)],
      AttachStdout: true,
      AttachStderr: true,
    },
  });
  const upgraded = await client.upgrade("execStart", {
    id: Id,
    body: { Detach: false, Tty: false },
  });
  const stream = hijack(upgraded, false);
  let text = "";
  for await (const piece of stream.output()) {
    if (piece.stream === "stdout") text += Buffer.from(piece.bytes).toString("latin1");
  }
  stream.close();
  return text === "" ? undefined : parseListeners(text);
};

const listensOn = (
  listeners: readonly Listener[] | undefined,
  port: number,
): PortFact["listens"] => {
  if (listeners === undefined) return "unknown";
  const found = listeners.filter((listener) => listener.port === port);
  if (found.length === 0) return "nowhere";
  return found.every((listener) => listener.isLoopback) ? "loopback" : "everywhere";
};

const readPorts = async (
  client: Client,
  container: InspectResponse,
  engineHost: string | undefined,
): Promise<PortFact[]> => {
  const published = Object.entries(container.NetworkSettings.Ports ?? {}).flatMap(
    ([key, bindings]) => {
      const [port = "", protocol = "tcp"] = key.split("/");
      const binding = bindings?.[0];
      return binding === undefined ? [] : [{ port: Number(port), protocol, binding }];
    },
  );
  if (!container.State.Running || published.length === 0) return [];
  const isLocal = engineHost === undefined;
  const listeners = await readListeners(client, container, isLocal).catch(() => undefined);
  return Promise.all(
    published.map(async ({ port, protocol, binding }): Promise<PortFact> => {
      const isAny = ["", "0.0.0.0", "::"].includes(binding.HostIp);
      const target = isAny ? (engineHost ?? "127.0.0.1") : binding.HostIp;
      const hostPort = Number(binding.HostPort);
      const isTcp = protocol === "tcp";
      return {
        containerPort: port,
        protocol,
        hostIp: binding.HostIp === "" ? "0.0.0.0" : binding.HostIp,
        hostPort,
        isAccepted: isTcp ? await accepts(target, hostPort) : undefined,
        listens: isTcp ? listensOn(listeners, port) : "unknown",
      };
    }),
  );
};

const healthFact = (container: InspectResponse): HealthFact => {
  const health = container.State.Health;
  const last = health?.Log?.at(-1);
  return {
    status: health?.Status ?? "none",
    failingStreak: health?.FailingStreak ?? 0,
    lastExitCode: last?.ExitCode,
    lastOutput: last?.Output ?? "",
  };
};

const ranSeconds = ({ State }: InspectResponse): number | undefined => {
  if (isZeroTime(State.StartedAt) || isZeroTime(State.FinishedAt) || State.Running)
    return undefined;
  return Math.max(0, (Date.parse(State.FinishedAt) - Date.parse(State.StartedAt)) / 1000);
};

/** `engineHost`: where published ports are, when the engine is not on this machine. */
export const gatherFacts = async (
  client: Client,
  id: string,
  engineHost: string | undefined,
): Promise<WhyFacts> => {
  const container = await client.call("containerInspect", { id });
  const { State, Config, HostConfig } = container;
  const [logLines, ports] = await Promise.all([
    readLogOrNothing(client, container),
    readPorts(client, container, engineHost),
  ]);
  return {
    name: container.Name.replace(/^\//, ""),
    status: State.Status,
    exitCode: State.ExitCode,
    isOomKilled: State.OOMKilled,
    startError: State.Error,
    command: [container.Path, ...container.Args],
    isTty: Config.Tty,
    hasOpenStdin: Config.OpenStdin,
    restartCount: container.RestartCount,
    restartPolicy: HostConfig.RestartPolicy.Name,
    memoryLimitBytes: HostConfig.Memory,
    ranSeconds: ranSeconds(container),
    health: healthFact(container),
    logLines,
    ports,
  };
};
