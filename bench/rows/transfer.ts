/**
 * 10, 11: an image from a registry and to one. A registry (docker-registry, the same program for all) stands on
 * the loopback of each engine, all over one store. Every round has an image of its own, removed with the engines:
 * deleting and unpacking again would measure the file system's memory of deleted inodes.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";

import { Glob } from "bun";

import { timed, type Measure } from "../figures.ts";
import { load } from "../load.ts";
import { type Containerd, hasContainerd, startContainerd } from "../peers/containerd.ts";
import type { Subject } from "../subjects.ts";
import { BUSYBOX_CONFIG, dockerArchive } from "../../test/harness/images.ts";
import { must, until } from "../../test/harness/process.ts";
import { writeTar, type TarEntry } from "../../test/harness/tar.ts";
import type { RowOptions } from "./start.ts";

const PROGRAM = "/usr/bin/docker-registry";
const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const CONFIG = "application/vnd.docker.container.image.v1+json";

const sha256 = (data: Uint8Array | string): string =>
  `sha256:${createHash("sha256").update(data).digest("hex")}`;

const USR = "/usr";
const FILE_MAX_BYTES = 8_000_000;

interface UsrFile {
  readonly path: string;
  readonly sizeBytes: number;
}

let usr: readonly UsrFile[] | undefined;

/** This machine's programs, libraries and documents: what images are made of. */
const usrFiles = (): readonly UsrFile[] =>
  (usr ??= [...new Glob("**/*").scanSync({ cwd: USR, onlyFiles: true, dot: true })]
    .toSorted()
    .map((name) => ({ path: `${USR}/${name}`, sizeBytes: lstatSync(`${USR}/${name}`).size }))
    .filter(({ sizeBytes }) => sizeBytes <= FILE_MAX_BYTES));

/** Of a distribution's root, what is compressed already: archives, pictures, caches. */
const COMPRESSED_SHARE = 3 / 16;

/**
 * So much of /usr, one file here and one there, and what does not compress: a distribution's root of 200 MB that
 * gzip makes 93 of, as the goals are written for. Tars of the same `series` hold the same files, each in a directory
 * of its own.
 */
const freshTar = (megabytes: number, series: number): Buffer => {
  const files = usrFiles();
  const prefix = `usr-${randomBytes(4).toString("hex")}`;
  const entries: TarEntry[] = [{ name: prefix, type: "dir" }];
  const endBytes = megabytes * 1_000_000;
  for (let index = 0, atBytes = 0; atBytes < endBytes; index += 1) {
    const { path } = files[(series * 7919 + index * 13) % files.length]!;
    const body = readFileSync(path);
    entries.push({ name: `${prefix}/${index}`, body });
    const packed = randomBytes(
      Math.round((body.length * COMPRESSED_SHARE) / (1 - COMPRESSED_SHARE)),
    );
    entries.push({ name: `${prefix}/${index}.packed`, body: packed });
    atBytes += body.length + packed.length + 2 * 512;
  }
  return writeTar(entries);
};

interface Store {
  readonly base: string;
  readonly port: number;
  /** "127.0.0.1:PORT", the same on every network. */
  readonly host: string;
  /** Starts it on the network of `enter`. */
  serve(enter: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

const openStore = (): Store => {
  const base = mkdtempSync("/var/tmp/naru-bench-transfer-");
  const port = 20_000 + (process.pid % 20_000);
  const host = `127.0.0.1:${port}`;
  const config = {
    version: "0.1",
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: `${base}/data` } },
    http: { addr: host },
  };
  writeFileSync(`${base}/config.yml`, JSON.stringify(config));
  const children: Bun.Subprocess[] = [];
  return {
    base,
    port,
    host,
    serve: async (enter) => {
      const argv = [...enter, PROGRAM, "serve", `${base}/config.yml`];
      children.push(Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr: "ignore" }));
      const ask = [...enter, "curl", "-sf", "-o", "/dev/null", `http://${host}/v2/`];
      await until(`a registry at ${host}`, async () => (await Bun.spawn(ask).exited) === 0);
    },
    stop: async () => {
      for (const child of children) child.kill();
      await Promise.all(children.map((child) => child.exited));
      rmSync(base, { recursive: true, force: true });
    },
  };
};

const putBlob = async ({ base, host }: Store, data: Uint8Array | string) => {
  const file = `${base}/blob`;
  writeFileSync(file, data);
  const digest = sha256(data);
  const start = await fetch(`http://${host}/v2/bench/pull/blobs/uploads/`, { method: "POST" });
  const location = new URL(start.headers.get("location") ?? "", `http://${host}`);
  location.searchParams.set("digest", digest);
  await must(["curl", "-sf", "-X", "PUT", "-T", file, location.href]);
  return { digest, size: Buffer.byteLength(data) };
};

/** A new image under `tag`; gives its config's digest and the digest of its first layer. */
const putImage = async (
  store: Store,
  tag: string,
  tars: readonly Buffer[],
): Promise<{ id: string; layer: string }> => {
  const layers = [];
  for (const tar of tars) {
    const blob = Bun.gzipSync(new Uint8Array(tar), { level: 6 });
    layers.push({ mediaType: LAYER, ...(await putBlob(store, blob)) });
  }
  const text = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    config: BUSYBOX_CONFIG,
    rootfs: { type: "layers", diff_ids: tars.map(sha256) },
    history: tars.map(() => ({ created_by: "bench" })),
  });
  const config = { mediaType: CONFIG, ...(await putBlob(store, text)) };
  const reply = await fetch(`http://${store.host}/v2/bench/pull/manifests/${tag}`, {
    method: "PUT",
    body: JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers }),
    headers: { "content-type": MANIFEST },
  });
  if (reply.status !== 201) throw new Error(`${reply.status} ${await reply.text()}`);
  return { id: config.digest, layer: layers[0]?.digest ?? "" };
};

const pull = async (subject: Subject, store: Store, tag: string, id: string): Promise<number> => {
  const name = `${store.host}/bench/pull`;
  const took = await timed(async () => {
    const told = await subject.ok("POST", `/images/create?fromImage=${name}&tag=${tag}`);
    if (told.includes('"error"'))
      throw new Error(`${subject.name}: ${told.toString().slice(-400)}`);
  });
  const found = (await subject.ok("GET", `/images/${name}:${tag}/json`)).toString();
  if ((JSON.parse(found) as { Id: string }).Id !== id) throw new Error(`${subject.name}: ${found}`);
  return took;
};

/** Fetching and inflating alone. */
const floor = async ({ base, host }: Store, digest: string): Promise<number> => {
  const url = `http://${host}/v2/bench/pull/blobs/${digest}`;
  const inflate = Bun.which("igzip") === null ? "gzip -dc" : "igzip -dc";
  const out = `${base}/floor-${digest.slice(7, 19)}`;
  return await timed(() => must(["sh", "-c", `curl -sf ${url} | ${inflate} > ${out}`]));
};

interface Bench {
  readonly store: Store;
  readonly subjects: readonly Subject[];
  readonly containerd: Containerd | undefined;
  readonly rounds: number;
  readonly megabytes: number;
}

const measurePulls = async (bench: Bench, kind: string, count: number): Promise<Measure> => {
  const { store, subjects, containerd, rounds, megabytes } = bench;
  const samples: Record<string, number[]> = {};
  const add = (name: string, value: number): void => void (samples[name] ??= []).push(value);
  // The first warms up: workers, page caches of programs.
  for (let round = -1; round < rounds; round += 1) {
    const tag = `${kind}${round + 1}`;
    const size = round < 0 ? 4 : megabytes / count;
    const tars = Array.from({ length: count }, (_, index) =>
      freshTar(size, (round + 2) * count + index),
    );
    const { id, layer } = await putImage(store, tag, tars);
    // What was written for the image is on disk before anybody is measured.
    await must(["sync"]);
    for (const subject of subjects) {
      const took = await pull(subject, store, tag, id);
      if (round >= 0) add(subject.name, took);
    }
    if (containerd !== undefined) {
      const reference = `${store.host}/bench/pull:${tag}`;
      const took = await timed(() => containerd.pull(reference));
      if (round >= 0) add("containerd-erofs", took);
    }
    const least = await floor(store, layer);
    if (round >= 0 && count === 1) add("floor", least);
  }
  const title =
    count === 1 ? `pull of a layer of ${megabytes} MB` : `pull of ${count} layers, ${megabytes} MB`;
  return { id: `pull.${kind}`, title, unit: "ms", samples };
};

/** The tail of other clients while an image comes in. */
const measurePing = async ({ store, subjects, megabytes }: Bench): Promise<Measure> => {
  const samples: Record<string, number[]> = {};
  const { id } = await putImage(store, "ping", [freshTar(megabytes, 1)]);
  for (const subject of subjects) {
    const state = { isPulling: true };
    const pulling = pull(subject, store, "ping", id).finally(() => (state.isPulling = false));
    const tails: number[] = [];
    while (state.isPulling) {
      const { p99Ms, failures } = await load(`unix:${subject.socketPath}`, 1, 0.1, "/_ping");
      if (failures > 0) throw new Error(`${subject.name}: ${failures} failed pings`);
      tails.push(p99Ms);
    }
    await pulling;
    samples[subject.name] = tails;
  }
  return { id: "pull.ping", title: "/_ping p99 during a pull", unit: "ms", samples };
};

/** A layer that the registry has not and that exists as a tar only: it is compressed on the way. */
const measurePush = async ({ store, subjects, rounds, megabytes }: Bench): Promise<Measure> => {
  const samples: Record<string, number[]> = {};
  for (let round = -1; round < rounds; round += 1) {
    for (const subject of subjects) {
      const tag = `${store.host}/bench/${subject.name}:${round + 1}`;
      const tar = freshTar(round < 0 ? 4 : megabytes, round + 2);
      const file = `${store.base}/image.tar`;
      writeFileSync(file, dockerArchive([tag], [tar], BUSYBOX_CONFIG));
      const loaded = await subject.cli("load", "-q", "-i", file);
      if (loaded.code !== 0) throw new Error(`${subject.name}: ${loaded.stderr}`);
      rmSync(file);
      await must(["sync"]);
      const [name = ""] = tag.split(/:(?=\d+$)/);
      const took = await timed(() => pushed(subject, name, String(round + 1)));
      const digest = await fetch(
        `http://${tag.replace("/", "/v2/").replace(/:(\d+)$/, "/manifests/$1")}`,
        {
          headers: { Accept: `${MANIFEST}, application/vnd.oci.image.manifest.v1+json` },
        },
      );
      if (!digest.ok) throw new Error(`${subject.name}: ${tag} did not arrive (${digest.status})`);
      if (round >= 0) (samples[subject.name] ??= []).push(took);
    }
  }
  return { id: "push.new", title: `push of a new layer of ${megabytes} MB`, unit: "ms", samples };
};

const pushed = async (subject: Subject, name: string, tag: string): Promise<void> => {
  const auth = { "X-Registry-Auth": Buffer.from("{}").toString("base64") };
  const reply = await fetch(`http://localhost/images/${name}/push?tag=${tag}`, {
    unix: subject.socketPath,
    method: "POST",
    headers: auth,
  });
  const told = await reply.text();
  if (!reply.ok || told.includes('"error"'))
    throw new Error(`${subject.name}: ${told.slice(-400)}`);
};

export const transferRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  if (!existsSync(PROGRAM))
    throw new Error(`${PROGRAM} is missing: apt-get install docker-registry`);
  await using stack = new AsyncDisposableStack();
  const store = openStore();
  stack.defer(() => store.stop());
  await store.serve([]);
  const containerd = hasContainerd() ? await startContainerd() : undefined;
  stack.defer(async () => await containerd?.stop());
  const networks = subjects.map(({ engine }) => engine.enter.filter((word) => word !== "-m"));
  if (containerd !== undefined) networks.push([...containerd.enter]);
  for (const enter of networks) await store.serve(enter);
  const size = isQuick ? { rounds: 2, megabytes: 48 } : { rounds: 4, megabytes: 200 };
  const bench: Bench = { store, subjects, containerd, ...size };
  return [
    await measurePulls(bench, "one", 1),
    await measurePulls(bench, "eight", 8),
    await measurePing(bench),
    await measurePush(bench),
  ];
};
