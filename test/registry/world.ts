/** Registries by hand: any flags, any number, each in a temporary root that is gone in the end. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";

const root = resolve(import.meta.dir, "../..");

/** argv of naru: `NARU_BIN`, else dist/naru, else the source. */
export const naru = ((): readonly string[] => {
  const built = `${root}/dist/naru`;
  const path = resolve(
    root,
    process.env["NARU_BIN"] ?? (existsSync(built) ? built : "src/main.ts"),
  );
  return path.endsWith(".ts") ? [process.execPath, path] : [path];
})();

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";

export const sha256 = (data: string | Uint8Array): string =>
  `sha256:${createHash("sha256").update(data).digest("hex")}`;

export interface Served {
  /** "http://127.0.0.1:34567". */
  readonly url: string;
  /** "127.0.0.1:34567". */
  readonly host: string;
  readonly pid: number;
  readonly dataRoot: string;
  log(): string;
  end(signal: NodeJS.Signals): Promise<number>;
}

const running: { kill(signal: number): void; exited: Promise<number> }[] = [];
const directories: string[] = [];

export const temporaryDirectory = (): string => {
  const path = mkdtempSync(`${tmpdir()}/naru-registry-`);
  directories.push(path);
  return path;
};

/** For each file's `afterAll`: a hook of this module would belong to the first file alone. */
export const cleanUp = async (): Promise<void> => {
  const children = running.splice(0);
  for (const child of children) child.kill(9);
  await Promise.all(children.map((child) => child.exited));
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
};

/** Starts one on a free port and waits for "ready". */
export const serve = async (
  flags: readonly string[] = [],
  dataRoot = `${temporaryDirectory()}/data`,
): Promise<Served> => {
  const child = Bun.spawn(
    [...naru, "registry", "serve", "--addr", "127.0.0.1:0", "--data-root", dataRoot, ...flags],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  running.push(child);
  let log = "";
  void (async () => {
    for await (const part of child.stderr) log += Buffer.from(part).toString();
  })();
  let out = "";
  for await (const part of child.stdout) {
    out += Buffer.from(part).toString();
    if (out.includes("\n")) break;
  }
  const url = /^ready (\S+)\n/.exec(out)?.[1];
  if (url === undefined) throw new Error(`the registry did not start: ${out}${log}`);
  return {
    url,
    host: url.replace(/^https?:\/\//, ""),
    pid: child.pid,
    dataRoot,
    log: () => log,
    end: (signal) => {
      child.kill(signal);
      return child.exited;
    },
  };
};

export const pushBlob = async (
  url: string,
  repository: string,
  data: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<string> => {
  const digest = sha256(data);
  const reply = await fetch(`${url}/v2/${repository}/blobs/uploads/?digest=${digest}`, {
    method: "POST",
    body: data,
    headers,
  });
  if (reply.status !== 201) throw new Error(`push: ${reply.status} ${await reply.text()}`);
  return digest;
};

export interface ImageOptions {
  readonly layer?: string;
  readonly subject?: object;
  readonly artifactType?: string;
  readonly annotations?: Record<string, string>;
  readonly headers?: Record<string, string>;
}

/** Config and one layer; returns the manifest's text. */
export const pushBlobsOf = async (
  url: string,
  repository: string,
  { layer = "layer", subject, artifactType, annotations, headers = {} }: ImageOptions = {},
): Promise<string> => {
  const config = JSON.stringify({ architecture: "amd64", os: "linux", rootfs: {}, layer });
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    ...(artifactType === undefined ? {} : { artifactType }),
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: await pushBlob(url, repository, config, headers),
      size: config.length,
    },
    layers: [
      {
        mediaType: "application/vnd.oci.image.layer.v1.tar",
        digest: await pushBlob(url, repository, layer, headers),
        size: layer.length,
      },
    ],
    ...(subject === undefined ? {} : { subject }),
    ...(annotations === undefined ? {} : { annotations }),
  });
};

export const putManifest = (
  url: string,
  repository: string,
  reference: string,
  manifest: string,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(`${url}/v2/${repository}/manifests/${reference}`, {
    method: "PUT",
    body: manifest,
    headers: { "content-type": OCI_MANIFEST, ...headers },
  });

/** A whole image under a tag; returns the manifest's digest. */
export const pushImage = async (
  url: string,
  repository: string,
  tag: string,
  options: ImageOptions = {},
): Promise<string> => {
  const manifest = await pushBlobsOf(url, repository, options);
  const reply = await putManifest(url, repository, tag, manifest, options.headers);
  if (reply.status !== 201) throw new Error(`manifest: ${reply.status} ${await reply.text()}`);
  return reply.headers.get("docker-content-digest") ?? "";
};

interface ErrorBody {
  readonly errors: readonly { readonly code: string; readonly message: string }[];
}

/** "404 MANIFEST_UNKNOWN". */
export const errorOf = async (reply: Response): Promise<string> => {
  const { errors } = (await reply.json()) as ErrorBody;
  return `${reply.status} ${errors[0]?.code}`;
};
