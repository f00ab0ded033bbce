/** Commands within a running container: create, start, inspect, resize. */
import { checkFields, TEXTS } from "#api/docker/body-fields.ts";
import type { Call } from "#api/docker/call.ts";
import { hijackStdio, rawClient } from "#api/docker/container/attach.ts";
import { sizeOf } from "#api/docker/container/lifecycle.ts";
import { multiplexFrame } from "#api/docker/multiplex.ts";
import { get, post, type Route } from "#api/docker/route.ts";
import { pumpStdio } from "#api/docker/stdio-pump.ts";
import { hasCode, NaruError, toNaruError } from "#lib/errors.ts";
import type { ExecCreateRequest } from "#spec/docker/container.ts";

const CREATE_FIELDS = {
  User: "text",
  Privileged: "flag",
  Tty: "flag",
  ConsoleSize: { list: "number" },
  AttachStdin: "flag",
  AttachStdout: "flag",
  AttachStderr: "flag",
  DetachKeys: "text",
  Env: TEXTS,
  WorkingDir: "text",
  Cmd: "textOrTexts",
} as const;
const START_FIELDS = { Detach: "flag", Tty: "flag", ConsoleSize: { list: "number" } } as const;

const create = async (call: Call): Promise<void> => {
  const body = checkFields((await call.readJson()) ?? {}, CREATE_FIELDS);
  const request = body as ExecCreateRequest;
  if ((request.Cmd ?? []).length === 0) {
    throw new NaruError("invalid_argument", "No exec command specified");
  }
  if (call.minor < 42) delete request.ConsoleSize;
  call.json(201, await call.backend.containers.execCreate(call.name, request));
};

/** [height, width]; only with a terminal, and not before 1.42. */
const consoleSize = (call: Call, value: unknown, isTty: boolean): [number, number] | undefined => {
  if (!isTty || call.minor < 42 || !Array.isArray(value)) return undefined;
  const [height, width]: unknown[] = value;
  if (typeof height !== "number" || typeof width !== "number") return undefined;
  // A client without a terminal of its own says none: what the exec was made with counts.
  return height === 0 && width === 0 ? undefined : [height, width];
};

/**
 * Clients look for an upgraded stream: a command that cannot run is told there, as Docker does, and so is
 * a second start: the real compose's watch attaches to an exec and starts it, both with this call.
 */
const isToldInStream = (thrown: unknown): boolean => {
  if (toNaruError(thrown).details["isStartedBefore"] === true) return true;
  return !hasCode(thrown, "conflict") && !hasCode(thrown, "not_found");
};

const start = async (call: Call): Promise<void> => {
  const body = checkFields((await call.readJson()) ?? {}, START_FIELDS);
  const { containers, logger } = call.backend;
  const { OpenStdin } = containers.execInspect(call.name);
  const isTty = body["Tty"] === true;
  const detach = body["Detach"] === true;
  const size = consoleSize(call, body["ConsoleSize"], isTty);
  const options = { detach, tty: isTty, ...(size === undefined ? {} : { consoleSize: size }) };
  if (detach) {
    await containers.execStart(call.name, options);
    call.empty(200);
    return;
  }
  let session;
  try {
    session = await containers.execStart(call.name, options);
  } catch (thrown) {
    if (!isToldInStream(thrown)) throw thrown;
    const raw = hijackStdio(call, isTty);
    const text = Buffer.from(`${toNaruError(thrown).message}\r\n`);
    await raw.write(isTty ? text : multiplexFrame(1, text));
    raw.endOutput();
    return;
  }
  if (session === undefined) {
    // Nothing was attached at create: there is nothing to say.
    hijackStdio(call, isTty).endOutput();
    return;
  }
  // As this request says, whatever the exec was made with: Docker's rule, which its SDK for Python needs.
  await pumpStdio(rawClient(call, isTty), session, {
    isMultiplexed: !isTty,
    hasStdin: OpenStdin,
    logger,
  });
};

const inspect = (call: Call): void =>
  call.json(200, call.backend.containers.execInspect(call.name));

const resize = async (call: Call): Promise<void> => {
  await call.backend.containers.execResize(call.name, sizeOf(call));
  call.empty(200);
};

export const execRoutes: readonly Route[] = [
  post("/containers/{id…}/exec", create),
  post("/exec/{id}/start", start),
  post("/exec/{id}/resize", resize),
  get("/exec/{id}/json", inspect),
];
