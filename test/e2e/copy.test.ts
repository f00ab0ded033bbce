/** `naru copy` between registries, the store, OCI layouts and archives; what it writes is read by skopeo, where there is one. */
import { expect } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { api, check, docker, dockerOk, naruOnly, type Check } from "../harness/check.ts";
import { engine } from "../harness/current.ts";
import { BUSYBOX_CONFIG, dockerArchive } from "../harness/images.ts";
import { naruBinary } from "../harness/naru.ts";
import { must } from "../harness/process.ts";
import { type PeerRegistry, startRegistry } from "../harness/registry.ts";
import { writeTar } from "../harness/tar.ts";

const skip = naruOnly("docker has no copy");

const naru = (...args: string[]): Promise<string> =>
  must([naruBinary(), ...args], { env: { NARU_HOST: `unix://${engine.socketPath}` } });

const folder = (t: Check): string => {
  const path = mkdtempSync(join(tmpdir(), "naru-copy-"));
  t.defer(async () => rmSync(path, { recursive: true, force: true }));
  return path;
};

/** What a registry has under a name. */
const digestOf = async (name: string): Promise<string> => {
  const reply = await api("GET", `/distribution/${name}/json`);
  return reply.json<{ Descriptor: { digest: string } }>().Descriptor.digest;
};

const makeImage = async (name: string): Promise<void> => {
  const layers = [
    writeTar([{ name: "same", body: "for all" }]),
    writeTar([{ name: "own", body: Buffer.alloc(300_000, name) }]),
  ];
  const out = await docker(["load"], { stdin: dockerArchive([name], layers, BUSYBOX_CONFIG) });
  if (out.code !== 0) throw new Error(out.stderr);
};

/** A list of two platforms under NAME:1. */
const publishList = async (t: Check, registry: PeerRegistry, name: string): Promise<void> => {
  for (const architecture of ["amd64", "arm64"]) {
    await makeImage(`${name}:${architecture}`);
    t.defer(() => docker(["rmi", "-f", `${name}:${architecture}`]));
    await registry.dockerOk("push", `${name}:${architecture}`);
  }
  const manifest = (...args: string[]): Promise<string> => registry.dockerOk("manifest", ...args);
  await manifest("create", "--insecure", `${name}:1`, `${name}:amd64`, `${name}:arm64`);
  await manifest("annotate", `${name}:1`, `${name}:arm64`, "--os", "linux", "--arch", "arm64");
  await manifest("push", "--insecure", `${name}:1`);
};

check(
  "naru copy: a list of platforms goes round through every place and stays what it is",
  async (t) => {
    const registry = await startRegistry("naru", {});
    t.defer(() => registry.stop());
    const name = `${registry.host}/several`;
    await publishList(t, registry, name);
    const digest = await digestOf(`${name}:1`);
    const path = folder(t);
    const layout = `${path}/layout`;
    const store = t.name();
    t.defer(() => docker(["rmi", "-f", store]));

    expect(await naru("copy", `docker://${name}:1`, `oci:${layout}:a`)).toContain("new blobs");
    expect(await naru("copy", `docker://${name}:1`, `oci:${layout}:b`)).toStartWith("0 new blobs");
    const index = JSON.parse(await Bun.file(`${layout}/index.json`).text()) as {
      manifests: { digest: string }[];
    };
    expect(index.manifests.map((entry) => entry.digest)).toEqual([digest, digest]);
    await naru("copy", `oci:${layout}:a`, `${registry.host}/from-layout:1`);
    expect(await digestOf(`${registry.host}/from-layout:1`)).toBe(digest);

    await naru("copy", `${name}:1`, `oci-archive:${path}/a.tar`);
    await naru("copy", `oci-archive:${path}/a.tar`, `${registry.host}/from-archive:1`);
    expect(await digestOf(`${registry.host}/from-archive:1`)).toBe(digest);

    await naru("copy", `oci-archive:${path}/a.tar`, `store:${store}`);
    const there = await api("GET", `/v1.48/images/${store}/json?manifests=1`);
    const { Manifests } = there.json<{ Manifests: { Available: boolean }[] }>();
    expect(Manifests.map(({ Available }) => Available)).toEqual([true, true]);
    await naru("copy", `store:${store}`, `${registry.host}/from-store:1`);
    expect(await digestOf(`${registry.host}/from-store:1`)).toBe(digest);
    await naru("copy", `${name}:1`, `${registry.host}/from-registry:1`);
    expect(await digestOf(`${registry.host}/from-registry:1`)).toBe(digest);
  },
  { skip },
);

check(
  "naru copy: one platform, archives of docker save, and what cannot be",
  async (t) => {
    const registry = await startRegistry("naru", {});
    t.defer(() => registry.stop());
    const name = `${registry.host}/several`;
    await publishList(t, registry, name);
    const path = folder(t);
    const archive = `docker-archive:${path}/one.tar`;
    const id = await dockerOk("image", "inspect", "-f", "{{.Id}}", `${name}:amd64`);
    await naru("copy", "--platform", "linux/amd64", `${name}:1`, archive);
    await dockerOk("rmi", `${name}:amd64`);
    expect(await dockerOk("load", "-i", `${path}/one.tar`)).toContain(`${name}:1`);
    t.defer(() => docker(["rmi", "-f", `${name}:1`]));
    expect(await dockerOk("image", "inspect", "-f", "{{.Id}}", `${name}:1`)).toBe(id);

    // As docker itself writes it: no manifests, plain layers.
    await dockerOk("save", "-o", `${path}/saved.tar`, `${name}:1`);
    await naru("copy", `docker-archive:${path}/saved.tar`, `${registry.host}/saved:1`);
    await dockerOk("rmi", `${name}:1`);
    await registry.dockerOk("pull", `${registry.host}/saved:1`);
    t.defer(() => docker(["rmi", "-f", `${registry.host}/saved:1`]));
    expect(await dockerOk("image", "inspect", "-f", "{{.Id}}", `${registry.host}/saved:1`)).toBe(
      id,
    );

    // A layout holds what the registry has: skopeo reads OCI's types alone, so it makes one first.
    if (Bun.which("skopeo") !== null) {
      const policy = `${path}/policy.json`;
      writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
      const skopeo = (...args: string[]) => must(["skopeo", "--policy", policy, ...args]);
      await skopeo("copy", "-q", `docker-archive:${path}/saved.tar`, `oci:${path}/theirs:x`);
      const own = await skopeo("inspect", "-f", "{{.Digest}}", `oci:${path}/theirs:x`);
      await naru("copy", `oci:${path}/theirs:x`, `${registry.host}/skopeo:1`);
      expect(await digestOf(`${registry.host}/skopeo:1`)).toBe(own.trim());
      await naru("copy", `${registry.host}/skopeo:1`, `oci:${path}/back:y`);
      await skopeo("copy", "-q", `oci:${path}/back:y`, `dir:${path}/dir`);
      await naru("copy", `${registry.host}/skopeo:1`, `oci-archive:${path}/back.tar`);
      const back = await skopeo("inspect", "-f", "{{.Digest}}", `oci-archive:${path}/back.tar`);
      expect(back).toBe(own);
    }

    const refused = async (...args: string[]): Promise<string> =>
      await naru("copy", ...args).then(
        () => "it did not fail",
        (error: unknown) => String(error),
      );
    expect(await refused(archive, `oci:${path}/x:1`)).toContain("has no manifests");
    expect(await refused("store:a", "store:b")).toContain("naru tag");
    expect(await refused(`${registry.host}/none:1`, archive)).toContain("not found");
    expect(await refused(`oci:${path}/none:1`, `${registry.host}/x:1`)).toContain(
      "is no OCI layout",
    );
    expect(await refused("--referrers", "store:a", archive)).toContain("--referrers");
  },
  { skip },
);
