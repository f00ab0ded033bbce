/** Files in and out of a container: archive (HEAD, GET, PUT), export; and POST /commit. */
import type { Call } from "#api/docker/call.ts";
import { decodeCreateRequest } from "#api/docker/container/create-decode.ts";
import { get, head, post, put, type Route } from "#api/docker/route.ts";
import { pumpStream } from "#api/docker/stream.ts";
import type { CommitRequest } from "#container/containers.ts";
import { NaruError } from "#lib/errors.ts";
import type { PathStat } from "#spec/docker/container.ts";
import { familiarName, parseReference } from "#spec/image/reference.ts";

const pathOf = (call: Call): string => {
  const path = call.query.text("path");
  if (path === "") {
    throw new NaruError("invalid_argument", "bad parameter: path cannot be empty");
  }
  return path;
};

const statField = (stat: PathStat): string =>
  `X-Docker-Container-Path-Stat: ${Buffer.from(JSON.stringify(stat)).toString("base64")}\r\n`;

const archiveStat = async (call: Call): Promise<void> => {
  const stat = await call.backend.containers.statPath(call.name, pathOf(call));
  call.exchange.answer(200, statField(stat));
};

const archiveGet = async (call: Call): Promise<void> => {
  const { containers } = call.backend;
  const { stat, tar } = await containers.readArchive(call.name, pathOf(call), call.signal);
  await pumpStream(call.stream("application/x-tar", statField(stat)), tar);
};

const archivePut = async (call: Call): Promise<void> => {
  const { query, exchange } = call;
  await call.backend.containers.writeArchive(call.name, pathOf(call), exchange.body(), {
    noOverwriteDirNonDir: query.flag("noOverwriteDirNonDir"),
    copyUidGid: query.flag("copyUIDGID"),
  });
  call.empty(200);
};

const exportRoot = async (call: Call): Promise<void> => {
  const tar = await call.backend.containers.export(call.name, call.signal);
  await pumpStream(call.stream("application/octet-stream"), tar);
};

/** "repo:tag"; undefined when no repository is named. */
export const referenceOf = (call: Call): string | undefined => {
  const repository = call.query.text("repo");
  if (repository === "") return undefined;
  if (repository.includes("@")) {
    throw new NaruError("invalid_argument", "cannot import digest reference");
  }
  const tag = call.query.text("tag");
  // It counts before the one in the name, as in Docker.
  return tag === "" ? repository : `${familiarName(parseReference(repository))}:${tag}`;
};

const commit = async (call: Call): Promise<void> => {
  const { query } = call;
  const body = await call.readJson();
  const container = query.text("container");
  if (container === "") {
    throw new NaruError("invalid_argument", "bad parameter: container cannot be empty");
  }
  const reference = referenceOf(call);
  const { HostConfig: _, NetworkingConfig: __, ...config } = decodeCreateRequest(body ?? {});
  const request: CommitRequest = {
    container,
    ...(reference === undefined ? {} : { reference }),
    author: query.text("author"),
    comment: query.text("comment"),
    pause: query.flag("pause", true),
    changes: query.all("changes"),
    ...(Object.keys(config).length === 0 ? {} : { config }),
  };
  call.json(201, await call.backend.containers.commit(request));
};

export const fileRoutes: readonly Route[] = [
  head("/containers/{id…}/archive", archiveStat),
  get("/containers/{id…}/archive", archiveGet),
  put("/containers/{id…}/archive", archivePut),
  get("/containers/{id…}/export", exportRoot),
  post("/commit", commit),
];
