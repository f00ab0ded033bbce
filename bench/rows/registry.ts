/** 20: naru's registry beside the distribution's docker-registry: manifests, blobs out and in, memory. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";

import { interleave, type Measure } from "../figures.ts";
import { load } from "../load.ts";
import { naruBinary } from "../../test/harness/naru.ts";
import { must, until } from "../../test/harness/process.ts";
import type { RowOptions } from "./start.ts";

const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const BLOB_BYTES = 93_000_000;

interface Server {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const sha256 = (data: Uint8Array | string): string =>
  `sha256:${createHash("sha256").update(data).digest("hex")}`;

const started = async (name: string, port: number, argv: readonly string[]): Promise<Server> => {
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  const answers = (): Promise<boolean> =>
    fetch(`${url}/v2/`).then(
      (reply) => reply.ok,
      () => false,
    );
  await until(`${name} on ${url}`, answers);
  const stop = async (): Promise<void> => {
    child.kill();
    await child.exited;
  };
  return { name, url, pid: child.pid, stop };
};

const freePort = (): number => {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = probe;
  probe.stop();
  return port;
};

const startPeer = (base: string): Promise<Server> => {
  const port = freePort();
  const config = {
    version: "0.1",
    log: { level: "error", accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: `${base}/peer` },
      cache: { blobdescriptor: "inmemory" },
    },
    http: { addr: `127.0.0.1:${port}` },
  };
  // JSON is YAML.
  writeFileSync(`${base}/peer.yml`, JSON.stringify(config));
  const argv = ["docker-registry", "serve", `${base}/peer.yml`];
  return started("docker-registry", port, argv);
};

const startNaru = (base: string): Promise<Server> => {
  const port = freePort();
  const flags = ["--addr", `127.0.0.1:${port}`, "--data-root", `${base}/naru`];
  return started("naru", port, [naruBinary(), "registry", "serve", ...flags]);
};

/** Of curl: the seconds of one request; anything but `status` throws. */
const curl = async (status: number, args: readonly string[]): Promise<number> => {
  const format = "%{http_code} %{time_total} %{size_download}";
  const out = await must(["curl", "-s", "-o", "/dev/null", "-w", format, ...args]);
  const [code, seconds] = out.split(" ");
  if (code !== String(status)) throw new Error(`curl ${args.at(-1)}: ${out}`);
  return Number(seconds) * 1000;
};

const upload = async ({ url }: Server, file: string, digest: string): Promise<number> => {
  const start = await fetch(`${url}/v2/bench/app/blobs/uploads/`, { method: "POST" });
  const location = new URL(start.headers.get("location") ?? "", url);
  location.searchParams.set("digest", digest);
  return curl(201, ["-X", "PUT", "-T", file, location.href]);
};

const putImage = async ({ url }: Server, config: string, layer: string): Promise<void> => {
  const entry = (mediaType: string, data: string) => ({
    mediaType,
    digest: sha256(data),
    size: data.length,
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: entry("application/vnd.docker.container.image.v1+json", config),
    layers: [entry("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
  });
  const reply = await fetch(`${url}/v2/bench/app/manifests/v1`, {
    method: "PUT",
    body: manifest,
    headers: { "content-type": MANIFEST },
  });
  if (reply.status !== 201) throw new Error(`${url}: ${reply.status} ${await reply.text()}`);
};

const residentMiB = ({ pid }: Server): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

const measureAll = async (
  servers: readonly Server[],
  base: string,
  isQuick: boolean,
): Promise<Measure[]> => {
  const stepsOf = (step: (server: Server) => Promise<number>) =>
    Object.fromEntries(servers.map((server) => [server.name, () => step(server)]));
  const small = `${base}/small`;
  const [config, layer] = ['{"architecture":"amd64","os":"linux"}', "layer"];
  for (const server of servers) {
    for (const data of [config, layer]) {
      writeFileSync(small, data);
      await upload(server, small, sha256(data));
    }
    await putImage(server, config, layer);
  }
  const manifests = await interleave(
    stepsOf(async ({ url }) => {
      const target = `tcp:${url.replace("http://", "")}`;
      const path = "/v2/bench/app/manifests/v1";
      const result = await load(target, 16, isQuick ? 1 : 2, path, [], `Accept: ${MANIFEST}\r\n`);
      if (result.failures > 0) throw new Error(`${url}: ${result.failures} failures`);
      return result.perSecond;
    }),
    isQuick ? 2 : 5,
    1,
  );
  const file = `${base}/blob`;
  const uploads: Record<string, number[]> = {};
  const downloads: Record<string, number[]> = {};
  for (let round = 0; round < (isQuick ? 3 : 7); round += 1) {
    for (const server of servers) {
      // Fresh bytes for each: nobody has them, and neither pays for the other's page cache.
      const bytes = Buffer.alloc(BLOB_BYTES);
      for (let at = 0; at < BLOB_BYTES; at += 65_536) {
        crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, BLOB_BYTES)));
      }
      writeFileSync(file, bytes);
      const digest = sha256(bytes);
      (uploads[server.name] ??= []).push(await upload(server, file, digest));
      const url = `${server.url}/v2/bench/app/blobs/${digest}`;
      for (let again = 0; again < 3; again += 1) {
        (downloads[server.name] ??= []).push(await curl(200, [url]));
      }
    }
  }
  // Both give memory back some time after the last request.
  await Bun.sleep(7000);
  const memory = Object.fromEntries(servers.map((server) => [server.name, [residentMiB(server)]]));
  return [
    {
      id: "registry.manifest",
      title: "manifest by tag, 16 connections",
      unit: "/s",
      samples: manifests,
    },
    { id: "registry.blob", title: "GET of a 93 MB blob", unit: "ms", samples: downloads },
    { id: "registry.upload", title: "PUT of a new 93 MB blob", unit: "ms", samples: uploads },
    { id: "registry.memory", title: "memory after all of it", unit: "MiB", samples: memory },
  ];
};

export const registryRow = async ({ isQuick }: RowOptions): Promise<Measure[]> => {
  if (!existsSync(naruBinary())) throw new Error("dist/naru is missing: npm run build");
  await using stack = new AsyncDisposableStack();
  const base = mkdtempSync("/tmp/naru-bench-registry-");
  stack.defer(() => rmSync(base, { recursive: true, force: true }));
  const servers: Server[] = [];
  const starters = Bun.which("docker-registry") === null ? [startNaru] : [startNaru, startPeer];
  for (const start of starters) {
    const server = await start(base);
    stack.defer(() => server.stop());
    servers.push(server);
  }
  return await measureAll(servers, base, isQuick);
};
