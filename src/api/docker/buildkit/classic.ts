/**
 * POST /build with version=2: BuildKit by the classic endpoint, as clients without its gRPC interface use it. The
 * parameters are the classic ones, the files come from the session, progress goes out as lines around encoded
 * StatusResponses.
 */
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import type { ExporterOptions, Job } from "#api/docker/buildkit/jobs.ts";
import { runJob } from "#api/docker/buildkit/run-job.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import type { Call } from "#api/docker/call.ts";
import { ProgressStream } from "#api/docker/image/progress.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError, hasCode } from "#lib/errors.ts";

const parse = (call: Call, name: string): unknown => {
  const text = call.query.text(name);
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new NaruError("invalid_argument", `error reading ${name}: ${String(cause)}`, { cause });
  }
};

const mapOf = (call: Call, name: string): [string, string][] => {
  const value = parse(call, name) ?? {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new NaruError("invalid_argument", `error reading ${name}: expected a map of strings`);
  }
  // A build argument without a value is one that the client does not have: BuildKit is not told of it.
  return Object.entries(value).flatMap(([key, item]): [string, string][] =>
    typeof item === "string" ? [[key, item]] : [],
  );
};

const ulimitText = (call: Call): string => {
  const value = parse(call, "ulimits") ?? [];
  if (!Array.isArray(value)) {
    throw new NaruError("invalid_argument", "error reading ulimits: expected a list");
  }
  return value
    .map((item: { Name?: string; Soft?: number; Hard?: number }) => {
      return `${item.Name ?? ""}=${item.Soft ?? 0}:${item.Hard ?? 0}`;
    })
    .join(",");
};

/** Limits that BuildKit's builds have not, and Docker leaves aside there in silence. */
const UNSUPPORTED = ["memory", "memswap", "cpushares", "cpuperiod", "cpuquota", "cpusetcpus"];

const refuseUnsupported = (call: Call): void => {
  for (const name of UNSUPPORTED) {
    const text = call.query.text(name);
    if (text === "" || text === "0") continue;
    const remedy = "set DOCKER_BUILDKIT=0";
    throw new NaruError("not_implemented", `"${name}" is not supported with BuildKit: ${remedy}`);
  }
  if (call.query.flag("squash")) {
    throw new NaruError("not_implemented", "squash is not supported with BuildKit: leave it out");
  }
};

const CLIENT_SESSION = "client-session";
/** A context from standard input comes as a request of its own, named after the build's. */
const UPLOAD = "upload-request";

const attributesOf = (call: Call): Attributes => {
  const { query } = call;
  const entries: [string, string][] = [
    ...mapOf(call, "buildargs").map(([key, value]): [string, string] => [
      `build-arg:${key}`,
      value,
    ]),
    ...mapOf(call, "labels").map(([key, value]): [string, string] => [`label:${key}`, value]),
  ];
  const remote = query.text("remote");
  const given: Record<string, string> = {
    filename: query.text("dockerfile"),
    target: query.text("target"),
    platform: query.text("platform"),
    context: remote === CLIENT_SESSION || remote === UPLOAD ? "" : remote,
    "force-network-mode": query.text("networkmode"),
    "add-hosts": query
      .all("extrahosts")
      .flatMap((text) => text.split(","))
      .map((text) => text.replace(":", "="))
      .join(","),
    "shm-size": query.text("shmsize") === "0" ? "" : query.text("shmsize"),
    ulimit: ulimitText(call),
    "cgroup-parent": query.text("cgroupparent"),
    "image-resolve-mode": query.flag("pull") ? "pull" : "",
  };
  entries.push(...Object.entries(given).filter(([, value]) => value !== ""));
  if (query.flag("nocache")) entries.push(["no-cache", ""]);
  return Object.fromEntries(entries);
};

const exportersOf = (call: Call): ExporterOptions[] => {
  const value = parse(call, "outputs") ?? [];
  if (!Array.isArray(value)) {
    throw new NaruError("invalid_argument", "error reading outputs: expected a list");
  }
  const names = call.query.all("t").filter((name) => name !== "");
  const tags: Record<string, string> = names.length === 0 ? {} : { name: names.join(",") };
  if (value.length === 0) return [{ type: "moby", attributes: tags }];
  return value.map((item: { Type?: string; Attrs?: Record<string, string> | null }) => {
    const type = item.Type ?? "";
    const isFiles = type === "local" || type === "tar" || type === "";
    return { type, attributes: { ...(isFiles ? {} : tags), ...item.Attrs } };
  });
};

const pumpStatus = async (job: Job, call: Call, stream: ProgressStream): Promise<void> => {
  for await (const message of job.log.read(call.signal)) {
    const aux = Buffer.from(message).toString("base64");
    await stream.write({ id: "moby.buildkit.trace", aux });
  }
};

export const buildByClassic = async (call: Call): Promise<void> => {
  const { backend, query, signal } = call;
  refuseUnsupported(call);
  const { uploads } = stateOf(backend);
  const id = query.text("buildid");
  if (id.startsWith(`${UPLOAD}:`)) {
    await uploads.offer(id.slice(UPLOAD.length + 1), call.exchange.body(), signal);
    return call.empty(200);
  }
  const [attributes, exporters] = [attributesOf(call), exportersOf(call)];
  const state = stateOf(backend);
  const job = state.jobs.start(id || randomHex(16));
  const stream = new ProgressStream(call);
  const told = pumpStatus(job, call, stream);
  told.catch(() => undefined); // Awaited below.
  const session = query.text("session");
  const upload = query.text("remote") === UPLOAD ? { upload: uploads.take(id, signal) } : {};
  const request = { frontend: "dockerfile.v0", attributes, exporters, session, signal, ...upload };
  try {
    const response = await runJob(backend, state, job, () => request);
    await told;
    const imageId = response["containerimage.config.digest"];
    if (imageId !== undefined) await stream.write({ id: "moby.image.id", aux: { ID: imageId } });
    stream.end();
  } catch (error) {
    // The connection is cut: nobody is left to be told.
    if (signal.aborted && hasCode(error, "canceled")) throw error;
    await told;
    await stream.fail(error);
  } finally {
    uploads.forget(id);
  }
};
