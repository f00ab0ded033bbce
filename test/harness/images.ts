/** Images made by the harness itself: a busybox root, docker-archive and OCI layout writers. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

import { must } from "./process.ts";
import { writeTar, type TarEntry } from "./tar.ts";

export const PATH_ENV = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The `Config` part of an image config, as the Docker API and the OCI image spec write it. */
export type ImageConfig = Readonly<Record<string, unknown>>;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const BUSYBOX = ["/usr/bin/busybox", "/bin/busybox"].find((path) => existsSync(path));

/** The files of a small root: static busybox with its applets, users, the usual folders. */
export const busyboxRoot = async (): Promise<readonly TarEntry[]> => {
  if (BUSYBOX === undefined) throw new Error("no busybox: apt-get install busybox-static");
  const applets = (await must([BUSYBOX, "--list"])).trim().split("\n");
  const dirs = ["bin", "dev", "etc", "home", "home/user", "proc", "root", "sys", "usr", "usr/bin"];
  const users = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n";
  const groups = "root:x:0:\nuser:x:1000:\nstaff:x:50:user\naudio:x:29:\n";
  return [
    ...dirs.map((name): TarEntry => ({ name, type: "dir" })),
    { name: "tmp", type: "dir", mode: 0o1777 },
    { name: "var", type: "dir" },
    { name: "bin/busybox", body: readFileSync(BUSYBOX), mode: 0o755 },
    ...applets
      .filter((name) => name !== "busybox")
      .map((name): TarEntry => ({ name: `bin/${name}`, type: "symlink", target: "busybox" })),
    { name: "etc/passwd", body: users },
    { name: "etc/group", body: groups },
    { name: "etc/marker", body: "from the image\n" },
  ];
};

const configJson = (config: ImageConfig, diffIds: readonly string[]): Buffer =>
  Buffer.from(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      created: "2021-01-01T00:00:00Z",
      author: "e2e",
      config,
      rootfs: { type: "layers", diff_ids: diffIds },
      history: diffIds.map((_, index) => ({
        created: "2021-01-01T00:00:00Z",
        created_by: `layer ${index}`,
        comment: "e2e",
      })),
    }),
  );

/** A `docker save` archive of one image with these layers (uncompressed tars). */
export const dockerArchive = (
  tags: readonly string[],
  layers: readonly Uint8Array[],
  config: ImageConfig,
): Buffer => {
  const json = configJson(
    config,
    layers.map((layer) => `sha256:${sha256(layer)}`),
  );
  const configName = `${sha256(json)}.json`;
  const names = layers.map((layer) => `${sha256(layer)}/layer.tar`);
  return writeTar([
    { name: configName, body: json },
    ...layers.flatMap((layer): TarEntry[] => [
      { name: sha256(layer), type: "dir" },
      { name: `${sha256(layer)}/layer.tar`, body: layer },
    ]),
    {
      name: "manifest.json",
      body: JSON.stringify([{ Config: configName, RepoTags: tags, Layers: names }]),
    },
  ]);
};

/** An OCI image layout as a tar; `ref` lands in the annotation that names the image. */
export const ociLayout = (
  ref: string,
  layers: readonly Uint8Array[],
  config: ImageConfig,
): Buffer => {
  const blobs = new Map<string, Uint8Array>();
  const add = (bytes: Uint8Array): { digest: string; size: number } => {
    blobs.set(sha256(bytes), bytes);
    return { digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  };
  const zipped = layers.map((layer) => Bun.gzipSync(Buffer.from(layer)));
  const json = configJson(
    config,
    layers.map((layer) => `sha256:${sha256(layer)}`),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...add(json) },
      layers: zipped.map((layer) => ({
        mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
        ...add(layer),
      })),
    }),
  );
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        ...add(manifest),
        annotations: {
          "io.containerd.image.name": ref,
          "org.opencontainers.image.ref.name": ref.split(":").pop() ?? "latest",
        },
      },
    ],
  };
  return writeTar([
    { name: "oci-layout", body: '{"imageLayoutVersion":"1.0.0"}' },
    { name: "index.json", body: JSON.stringify(index) },
    { name: "blobs", type: "dir" },
    { name: "blobs/sha256", type: "dir" },
    ...[...blobs].map(([digest, body]): TarEntry => ({ name: `blobs/sha256/${digest}`, body })),
  ]);
};

export const BUSYBOX_CONFIG: ImageConfig = { Env: [PATH_ENV], Cmd: ["sh"] };

/** Everything an image config can say, on a second layer with a whiteout and volume content. */
export const FULL_CONFIG: ImageConfig = {
  Env: [PATH_ENV, "FROM_IMAGE=yes", "EMPTY="],
  Entrypoint: ["/bin/entry"],
  Cmd: ["default", "words"],
  User: "1000:50",
  WorkingDir: "/work/dir",
  Volumes: { "/data": {} },
  ExposedPorts: { "80/tcp": {}, "53/udp": {} },
  Labels: { "e2e.role": "full", "e2e.second": "2" },
  StopSignal: "SIGUSR1",
  Healthcheck: {
    Test: ["CMD-SHELL", "test -e /tmp/healthy"],
    Interval: 300_000_000,
    Timeout: 2_000_000_000,
    Retries: 2,
  },
};

export const FULL_LAYER: readonly TarEntry[] = [
  { name: "bin/entry", mode: 0o755, body: '#!/bin/sh\necho "entry: $*"\nexec "$@"\n' },
  { name: "data", type: "dir", uid: 1000, gid: 50, mode: 0o750 },
  { name: "data/seed", body: "seed\n", uid: 1000, gid: 50 },
  { name: "data/link", type: "symlink", target: "seed" },
  { name: "etc/.wh.marker" },
  { name: "work", type: "dir" },
  { name: "work/dir", type: "dir", uid: 1000, gid: 50 },
];
