/** Several platforms of one image in an engine, seen with the real docker client, and by skopeo and buildah through `--serve-images`. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { expect } from "bun:test";

import { clientBinary } from "../harness/client-binary.ts";
import { busyboxRoot } from "../harness/images.ts";
import { writeTar, type TarEntry } from "../harness/tar.ts";
import { openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const OCI = "application/vnd.oci.image";
const HOST = process.arch === "arm64" ? "arm64" : "amd64";
const FOREIGN = HOST === "arm64" ? "amd64" : "arm64";

const digestOf = (bytes: Uint8Array | string): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

interface Multi {
  readonly archive: Buffer;
  /** The index's digest, and those that it lists. */
  readonly index: string;
  readonly manifests: Record<string, string>;
}

/** An OCI archive: an index of two images that share a layer, and an attestation of the first. */
const makeMulti = async (name: string): Promise<Multi> => {
  const blobs = new Map<string, Uint8Array>();
  const add = (mediaType: string, body: Uint8Array | string) => {
    const bytes = Buffer.from(body as string);
    blobs.set(digestOf(bytes), bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const json = (mediaType: string, value: object) => add(mediaType, JSON.stringify(value));
  const root = writeTar(await busyboxRoot());
  const image = (architecture: string) => {
    const own = writeTar([{ name: "arch", body: `${architecture}\n` }]);
    return {
      ...json(`${OCI}.manifest.v1+json`, {
        schemaVersion: 2,
        mediaType: `${OCI}.manifest.v1+json`,
        config: json(`${OCI}.config.v1+json`, {
          architecture,
          os: "linux",
          config: { Cmd: ["cat", "/arch"] },
          rootfs: { type: "layers", diff_ids: [digestOf(root), digestOf(own)] },
        }),
        layers: [root, own].map((tar) =>
          add(`${OCI}.layer.v1.tar+gzip`, Bun.gzipSync(new Uint8Array(tar))),
        ),
      }),
      platform: { architecture, os: "linux" },
    };
  };
  const [host, foreign] = [image(HOST), image(FOREIGN)];
  const attestation = {
    ...json(`${OCI}.manifest.v1+json`, {
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      config: json(`${OCI}.config.v1+json`, { architecture: "unknown", os: "unknown" }),
      layers: [json("application/vnd.in-toto+json", { predicateType: "https://slsa.dev/x" })],
    }),
    annotations: {
      "vnd.docker.reference.digest": host.digest,
      "vnd.docker.reference.type": "attestation-manifest",
    },
    platform: { architecture: "unknown", os: "unknown" },
  };
  const index = json(`${OCI}.index.v1+json`, {
    schemaVersion: 2,
    mediaType: `${OCI}.index.v1+json`,
    manifests: [foreign, host, attestation],
  });
  const annotations = { "io.containerd.image.name": `docker.io/library/${name}` };
  const layout = { schemaVersion: 2, manifests: [{ ...index, annotations }] };
  const archive = writeTar([
    ...[...blobs].map(([digest, body]): TarEntry => ({
      name: `blobs/sha256/${digest.slice(7)}`,
      body,
    })),
    { name: "index.json", body: JSON.stringify(layout) },
    { name: "oci-layout", body: '{"imageLayoutVersion":"1.0.0"}' },
  ]);
  const manifests = { [HOST]: host.digest, [FOREIGN]: foreign.digest };
  return { archive: Buffer.from(archive), index: index.digest, manifests };
};

interface Summary {
  readonly RepoTags: string[];
  readonly Descriptor?: { readonly digest: string };
  readonly Manifests: { readonly Kind: string; readonly Available: boolean }[];
}

scenario(
  "an archive of several platforms is loaded whole, served whole, and pulled platform by platform",
  async () => {
    const giver = await world.start(world.roots("giver"), {
      flags: ["--serve-images", "127.0.0.1:0"],
    });
    const address = giver.addresses.at(-1)?.replace("http://", "") ?? "";
    const multi = await makeMulti("multi:1");
    const path = `${world.base}/multi.tar`;
    writeFileSync(path, multi.archive);
    expect(await giver.dockerOk("load", "-i", path)).toBe("Loaded image: multi:1");
    const list = async (engine: typeof giver): Promise<Summary[]> =>
      (await engine.api("GET", "/v1.48/images/json?manifests=1")).json<Summary[]>();
    const shown = await list(giver);
    expect(shown).toHaveLength(1);
    expect(shown[0]?.Descriptor?.digest).toBe(multi.index);
    expect(shown[0]?.Manifests.map(({ Kind, Available }) => [Kind, Available])).toEqual([
      ["image", true],
      ["image", true],
      ["attestation", true],
    ]);
    expect(await giver.dockerOk("run", "--rm", "multi:1")).toBe(HOST);
    const architecture = (engine: typeof giver, name: string, ...platform: string[]) =>
      engine.dockerOk("image", "inspect", ...platform, "-f", "{{.Architecture}}", name);
    expect(await architecture(giver, "multi:1")).toBe(HOST);
    const foreign = ["--platform", `linux/${FOREIGN}`];
    expect(await architecture(giver, "multi:1", ...foreign)).toBe(FOREIGN);

    // Others see the index, whole.
    const exec = async (...argv: string[]): Promise<string> => {
      const out = await world.isolation.exec(argv);
      if (out.code !== 0) throw new Error(`${argv.join(" ")}: ${out.stderr}`);
      return out.stdout;
    };
    const docker = `docker://${address}/multi:1`;
    if (Bun.which("skopeo") !== null) {
      const policy = `${world.base}/policy.json`;
      writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
      const skopeo = (...args: string[]) => exec("skopeo", "--policy", policy, ...args);
      const insecure = "--src-tls-verify=false";
      const layout = `${world.base}/layout`;
      await skopeo("copy", "-q", "--all", insecure, docker, `oci:${layout}:1`);
      const index = JSON.parse(await Bun.file(`${layout}/index.json`).text()) as {
        manifests: { digest: string }[];
      };
      expect(index.manifests[0]?.digest).toBe(multi.index);
      const raw = await skopeo("inspect", "--tls-verify=false", "--raw", docker);
      expect(digestOf(raw)).toBe(multi.index);
    }
    if (Bun.which("buildah") !== null) {
      const home = `${world.base}/buildah`;
      mkdirSync(home, { recursive: true });
      const stored = [`--root=${home}/root`, `--runroot=${home}/run`, "--storage-driver=vfs"];
      const policy = `--signature-policy=${world.base}/policy.json`;
      const pull = ["pull", "-q", policy, "--tls-verify=false", `--arch=${FOREIGN}`, docker];
      const id = (await exec("buildah", ...stored, ...pull)).trim();
      const format = ["inspect", "--type=image", "-f", "{{.OCIv1.Architecture}}", id];
      expect((await exec("buildah", ...stored, ...format)).trim()).toBe(FOREIGN);
    }

    // Another engine takes one platform, then the other.
    const taker = await world.start(world.roots("taker"));
    const name = `${address}/multi:1`;
    await taker.dockerOk("pull", ...foreign, name);
    expect(await architecture(taker, name)).toBe(FOREIGN);
    await taker.dockerOk("pull", name);
    expect(await architecture(taker, name)).toBe(HOST);
    expect(await architecture(taker, name, ...foreign)).toBe(FOREIGN);
    expect(await taker.dockerOk("pull", ...foreign, name)).toContain("Image is up to date");
    expect(await taker.dockerOk("images", "-q")).not.toContain("\n");
    expect(await taker.dockerOk("run", "--rm", "--platform", `linux/${HOST}`, name)).toBe(HOST);
    // The client asks the registry by itself, so it has to be where that listens.
    const manifest = await exec(clientBinary(), "manifest", "inspect", "--insecure", name);
    expect(manifest).toContain(multi.manifests[FOREIGN] ?? "none");
    // What is here of it can be saved and brought elsewhere.
    const saved = `${world.base}/saved.tar`;
    await taker.dockerOk("save", "-o", saved, name);
    const query = encodeURIComponent(JSON.stringify({ os: "linux", architecture: HOST }));
    const gone = await taker.api("DELETE", `/v1.50/images/${name}?platforms=${query}`);
    expect(gone.status).toBe(200);
    expect(await architecture(taker, name)).toBe(FOREIGN);
    const partly = await world.cli(["copy", `store:${name}`, `oci:${world.base}/partly:1`], {
      NARU_HOST: `unix://${taker.roots.socketPath}`,
    });
    expect([partly.code, partly.stderr]).toEqual([
      0,
      expect.stringContaining(`NOTE: not all platforms of ${name} are here`),
    ]);
    await taker.dockerOk("rmi", name);
    expect(await taker.dockerOk("images", "-aq")).toBe("");
    await taker.dockerOk("load", "-i", saved);
    expect(await taker.dockerOk("run", "--rm", name)).toBe(HOST);
    expect(await architecture(taker, name, ...foreign)).toBe(FOREIGN);
    await taker.dockerOk("rmi", name);
    await taker.dockerOk("load", "-i", saved);
    // The two platforms differ in one file.
    const host = `unix://${taker.roots.socketPath}`;
    const naru = async (...args: string[]): Promise<string> => {
      const out = await world.cli(args, { NARU_HOST: host });
      if (out.code !== 0) throw new Error(out.stderr);
      return out.stdout;
    };
    await naru("save", "--platform", `linux/${FOREIGN}`, "-o", `${world.base}/one.tar`, name);
    await taker.dockerOk("rmi", name);
    await taker.dockerOk("load", "-i", `${world.base}/one.tar`);
    await taker.dockerOk("tag", name, "foreign:1");
    await taker.dockerOk("rmi", name);
    await taker.dockerOk("load", "-i", saved);
    const diff = await naru("image", "diff", "foreign:1", name);
    expect(diff).toContain("/arch");
    expect(diff).toEndWith("0 added, 1 changed, 0 deleted, 0B\n");
    const layers = JSON.parse(await naru("image", "diff", "--format", "json", name)) as {
      layers: { changes: object[] }[];
    };
    expect(layers.layers[1]?.changes).toEqual([{ kind: "added", path: "/arch", sizeBytes: 6 }]);
    await taker.dockerOk("rmi", "foreign:1", name);
    const { LayersSize } = (await taker.api("GET", "/v1.48/system/df")).json<{
      LayersSize: number;
    }>();
    expect(LayersSize).toBe(0);
  },
);

nothingIsLeft();
