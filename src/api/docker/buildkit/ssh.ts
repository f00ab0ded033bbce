/** SSH agents of a client, behind sockets on this host for as long as their build runs. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DockerBackend } from "#api/docker/backend.ts";
import type { ClientSession } from "#api/docker/buildkit/sessions.ts";
import { hasCode } from "#lib/errors.ts";
import { CheckAgentRequestSchema, ChunkSchema } from "#spec/buildkit/session.gen.ts";
import type { Dockerfile } from "#spec/dockerfile/dockerfile.ts";
import { parseMount } from "#spec/dockerfile/mount.ts";
import type { Duplex } from "node:stream";

const CHECK_AGENT = "/moby.sshforward.v1.SSH/CheckAgent";
const FORWARD_AGENT = "/moby.sshforward.v1.SSH/ForwardAgent";

const agentIds = (dockerfile: Dockerfile): ReadonlySet<string> => {
  const ids = new Set<string>();
  for (const { instructions } of dockerfile.stages) {
    for (const instruction of instructions) {
      if (instruction.name !== "RUN") continue;
      for (const word of instruction.mounts) {
        const mount = parseMount(word.text);
        if (mount.type === "ssh") ids.add(mount.id || "default");
      }
    }
  }
  return ids;
};

/** Carries one connection of a step to the client's agent and back, until either side ends. */
const forward = async (
  session: ClientSession,
  id: string,
  socket: Duplex,
  signal: AbortSignal,
): Promise<void> => {
  const stream = session.client.stream(FORWARD_AGENT, { "buildkit.ssh.id": id }, signal);
  const outward = async (): Promise<void> => {
    for await (const data of socket) {
      const message = create(ChunkSchema, { data: data as Uint8Array });
      await stream.send(toBinary(ChunkSchema, message));
    }
    stream.end();
  };
  const going = outward();
  going.catch(() => stream.cancel());
  try {
    for await (const message of stream.messages) {
      if (!socket.writable) break;
      socket.write(fromBinary(ChunkSchema, message).data);
    }
  } finally {
    socket.end();
    stream.cancel();
  }
};

/** Path of a socket behind which the client's agent is; undefined: it has none of that id. */
export const sshSocketOf = async (
  backend: DockerBackend,
  session: ClientSession | undefined,
  id: string,
  held: DisposableStack,
  signal: AbortSignal,
): Promise<string | undefined> => {
  if (session === undefined || !session.supports(FORWARD_AGENT)) return undefined;
  const request = create(CheckAgentRequestSchema, { id });
  try {
    await session.client.call(CHECK_AGENT, toBinary(CheckAgentRequestSchema, request), signal);
  } catch (error) {
    if (hasCode(error, "canceled") || hasCode(error, "unavailable")) throw error;
    // The client has no such agent.
    return undefined;
  }
  const socket = await backend.agentSocket((connection) => {
    connection.on("error", () => connection.destroy());
    forward(session, id, connection, signal).catch((error: unknown) => {
      connection.destroy();
      backend.logger.debug("an agent's connection ended", { id, error });
    });
  });
  return held.use(socket).path;
};

/** Agents that the client has, by id. What is required and missing fails in its step. */
export const sshSocketsOf = async (
  backend: DockerBackend,
  session: ClientSession | undefined,
  dockerfile: Dockerfile,
  held: DisposableStack,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> => {
  const sockets = new Map<string, string>();
  for (const id of agentIds(dockerfile)) {
    const path = await sshSocketOf(backend, session, id, held, signal);
    if (path !== undefined) sockets.set(id, path);
  }
  return sockets;
};
