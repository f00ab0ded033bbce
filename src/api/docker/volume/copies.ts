/** naru's own: volumes renamed, cloned, written to archives and read from them. */
import { checkFields, TEXT_MAP } from "#api/docker/body-fields.ts";
import type { Call } from "#api/docker/call.ts";
import { get, post, type Route } from "#api/docker/route.ts";
import { pumpStream } from "#api/docker/stream.ts";
import { NaruError } from "#lib/errors.ts";
import type { VolumeCloneRequest } from "#spec/docker/volume.ts";
import type { ExportFormat } from "#volume/volume.ts";

const FORMATS: Readonly<Record<ExportFormat, string>> = {
  tar: "application/x-tar",
  "tar.zst": "application/zstd",
  backup: "application/zstd",
};

const isFormat = (text: string): text is ExportFormat => text in FORMATS;

const required = (call: Call, key: string): string => {
  const value = call.query.text(key);
  if (value !== "") return value;
  throw new NaruError("invalid_argument", `bad parameter: ${key} cannot be empty`);
};

const rename = (call: Call): void =>
  call.json(200, call.backend.volumes.rename(call.name, required(call, "name")));

const clone = async (call: Call): Promise<void> => {
  const body = checkFields((await call.readJson()) ?? {}, {
    Name: "text",
    Labels: TEXT_MAP,
  }) as Partial<VolumeCloneRequest>;
  const { Name = "", Labels } = body;
  if (Name === "") throw new NaruError("invalid_argument", "bad parameter: Name cannot be empty");
  const volume = await call.backend.volumes.clone(
    call.name,
    { Name, ...(Labels === undefined ? {} : { Labels }) },
    { isPaused: call.query.flag("pause", true), signal: call.signal },
  );
  call.json(201, volume);
};

const exportFiles = async (call: Call): Promise<void> => {
  const format = call.query.text("format") || "tar";
  if (!isFormat(format)) {
    const known = Object.keys(FORMATS).join(", ");
    throw new NaruError("invalid_argument", `unknown format "${format}": it can be ${known}`);
  }
  const isPaused = call.query.flag("pause", true);
  const { signal } = call;
  const bytes = await call.backend.volumes.export(call.name, { format, isPaused, signal });
  await pumpStream(call.stream(FORMATS[format]), bytes);
};

const importFiles = async (call: Call): Promise<void> => {
  await call.backend.volumes.import(call.name, call.exchange.body(), call.signal);
  call.empty(204);
};

const restore = async (call: Call): Promise<void> => {
  const name = call.query.text("name");
  const volume = await call.backend.volumes.restore(
    name === "" ? undefined : name,
    call.exchange.body(),
    call.signal,
  );
  call.json(201, volume);
};

export const volumeCopyRoutes: readonly Route[] = [
  post("/naru/volumes/restore", restore),
  post("/naru/volumes/{name}/rename", rename),
  post("/naru/volumes/{name}/clone", clone),
  get("/naru/volumes/{name}/export", exportFiles),
  post("/naru/volumes/{name}/import", importFiles),
];
