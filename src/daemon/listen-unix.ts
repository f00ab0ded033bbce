/** The engine's unix socket: 0660, of the group docker where there is one. */
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Listener, OnConnection } from "#daemon/listener.ts";
import { UnixSocket } from "#daemon/unix-socket.ts";
import { NaruError } from "#lib/errors.ts";

/** struct sockaddr_un holds 107 bytes and a NUL. */
const MAX_PATH_BYTES = 107;
const DEFAULT_GROUP = "docker";

/** undefined where the default group does not exist: root alone then. One that was asked for must. */
const groupIdOf = (asked: string | undefined): number | undefined => {
  const name = asked ?? DEFAULT_GROUP;
  if (name === "") return undefined;
  if (/^\d+$/.test(name)) return Number(name);
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  if (line !== undefined) return Number(line.split(":")[2]);
  if (asked === undefined) return undefined;
  throw new NaruError(
    "failed_precondition",
    `group "${name}" does not exist: groupadd ${name}, or choose another --group`,
  );
};

const isAnswered = async (path: string): Promise<boolean> => {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => undefined } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
};

/** A socket file that nobody answers on is a dead daemon's and goes. */
const clearPath = async (path: string): Promise<void> => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new NaruError(
      "failed_precondition",
      `cannot listen on "${path}": a file that is no socket stands there`,
    );
  }
  if (await isAnswered(path)) {
    throw new NaruError(
      "failed_precondition",
      `cannot listen on "${path}": another daemon answers there`,
    );
  }
  rmSync(path);
};

/** Returns what closes it. Throws failed_precondition. */
const accept = (path: string, onConnection: OnConnection): (() => void) => {
  try {
    const listener = Bun.listen<UnixSocket>({
      unix: path,
      allowHalfOpen: true,
      socket: {
        ...UnixSocket.handlers,
        open: (native) => {
          native.data = new UnixSocket(native);
          onConnection(native.data);
        },
      },
    });
    return () => listener.stop();
  } catch (cause) {
    throw new NaruError("failed_precondition", `cannot listen on "${path}": ${String(cause)}`, {
      cause,
    });
  }
};

export const listenUnix = async (
  path: string,
  group: string | undefined,
  onConnection: OnConnection,
): Promise<Listener> => {
  if (!path.startsWith("/"))
    throw new NaruError("invalid_argument", `"unix://${path}" needs an absolute path`);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new NaruError(
      "invalid_argument",
      `cannot listen on "${path}": a socket's path has at most ${MAX_PATH_BYTES} bytes`,
    );
  }
  const gid = groupIdOf(group);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await clearPath(path);
  // Nobody but root may connect between bind and chmod.
  const mask = process.umask(0o177);
  let close: () => void;
  try {
    close = accept(path, onConnection);
  } finally {
    process.umask(mask);
  }
  if (gid !== undefined) chownSync(path, 0, gid);
  chmodSync(path, 0o660);
  return {
    address: `unix://${path}`,
    close: () => {
      close();
      rmSync(path, { force: true });
    },
  };
};
