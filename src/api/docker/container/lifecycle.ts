/** The verbs that answer with a status alone, and update, top, changes, prune. */
import { removalBatch } from "#api/docker/removal-batch.ts";
import { checkFields } from "#api/docker/body-fields.ts";
import type { Call } from "#api/docker/call.ts";
import { RESOURCE_FIELDS } from "#api/docker/container/create-decode.ts";
import { del, get, post, type Route } from "#api/docker/route.ts";
import type { UpdateRequest } from "#container/containers.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";

const start = async (call: Call): Promise<void> => {
  const { contentLength } = call.exchange.head;
  // "{}" and "null" of old clients are let through.
  if (contentLength === undefined || contentLength > 7) {
    throw new NaruError(
      "invalid_argument",
      "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
    );
  }
  if (call.query.text("checkpoint") !== "") {
    throw new NaruError("not_implemented", "checkpoints are not supported by naru");
  }
  await call.backend.containers.start(call.name);
  call.empty(204);
};

const stopOptions = (call: Call): { signal?: string; timeoutSeconds?: number } => {
  const signal = call.minor < 42 ? "" : call.query.text("signal");
  const timeoutSeconds = call.query.integer("t");
  return {
    ...(signal === "" ? {} : { signal }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  };
};

const stop = async (call: Call): Promise<void> => {
  await call.backend.containers.stop(call.name, stopOptions(call));
  call.empty(204);
};

const restart = async (call: Call): Promise<void> => {
  await call.backend.containers.restart(call.name, stopOptions(call));
  call.empty(204);
};

const kill = async (call: Call): Promise<void> => {
  try {
    await call.backend.containers.kill(call.name, call.query.text("signal"));
  } catch (thrown) {
    const error = toNaruError(thrown);
    const prefix = `cannot kill container: ${call.name}: `;
    if (error.message.startsWith(prefix)) throw error;
    throw new NaruError(error.code, prefix + error.message, {
      cause: error,
      details: error.details,
    });
  }
  call.empty(204);
};

const pause = async (call: Call): Promise<void> => {
  await call.backend.containers.pause(call.name);
  call.empty(204);
};

const unpause = async (call: Call): Promise<void> => {
  await call.backend.containers.unpause(call.name);
  call.empty(204);
};

const rename = async (call: Call): Promise<void> => {
  await call.backend.containers.rename(call.name, call.query.text("name"));
  call.empty(204);
};

const update = async (call: Call): Promise<void> => {
  const body = (await call.readJson()) ?? {};
  const request = checkFields(body, RESOURCE_FIELDS);
  if (call.minor < 40) delete request["PidsLimit"];
  const limit = request["PidsLimit"];
  // 0 and everything negative mean "no limit".
  if (typeof limit === "number" && limit <= 0) request["PidsLimit"] = 0;
  call.json(200, await call.backend.containers.update(call.name, request as UpdateRequest));
};

const remove = async (call: Call): Promise<void> => {
  const { query } = call;
  if (query.flag("link")) {
    call.backend.containers.removeLink(call.name);
    return call.empty(204);
  }
  await call.backend.containers.remove(call.name, {
    force: query.flag("force"),
    volumes: query.flag("v"),
    ...removalBatch(call),
  });
  call.empty(204);
};

const prune = async (call: Call): Promise<void> => {
  const filters = call.query.filters(["until", "label", "label!"]);
  call.json(200, await call.backend.containers.prune(filters, removalBatch(call)));
};

const top = async (call: Call): Promise<void> =>
  call.json(200, await call.backend.containers.top(call.name, call.query.text("ps_args")));

const changes = async (call: Call): Promise<void> => {
  const list = await call.backend.containers.changes(call.name);
  call.json(200, list.length === 0 ? null : list);
};

/** "h" and "w": whole numbers that fit 32 bits. */
export const sizeOf = (call: Call): { height: number; width: number } => {
  const read = (name: string, noun: string): number => {
    const text = call.query.text(name);
    if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
    const reason = /^-?\d+$/.test(text) ? "value out of range" : "invalid syntax";
    throw new NaruError("invalid_argument", `invalid resize ${noun} "${text}": ${reason}`);
  };
  return { height: read("h", "height"), width: read("w", "width") };
};

const resize = async (call: Call): Promise<void> => {
  await call.backend.containers.resize(call.name, sizeOf(call));
  call.empty(200);
};

export const lifecycleRoutes: readonly Route[] = [
  post("/containers/prune", prune),
  post("/containers/{id…}/start", start),
  post("/containers/{id…}/stop", stop),
  post("/containers/{id…}/restart", restart),
  post("/containers/{id…}/kill", kill),
  post("/containers/{id…}/pause", pause),
  post("/containers/{id…}/unpause", unpause),
  post("/containers/{id…}/rename", rename),
  post("/containers/{id…}/update", update),
  post("/containers/{id…}/resize", resize),
  get("/containers/{id…}/top", top),
  get("/containers/{id…}/changes", changes),
  del("/containers/{id…}", remove),
];
