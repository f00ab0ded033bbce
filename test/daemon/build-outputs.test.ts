/** What builds give out: media types, compressions, annotations, attestations, platforms; the same bytes again. */
import { expect } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

import { hasBuildx } from "../harness/buildx-client.ts";
import { must, run, until } from "../harness/process.ts";
import { readTar } from "../harness/tar.ts";
import { buildWorld } from "./build-world.ts";
import { type Daemon, IMAGE, naru, openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();
const { registry, withRegistry, engine, folder, build, buildx } = buildWorld(world);

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly platform?: { readonly architecture: string; readonly os: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Document {
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly layers: readonly Descriptor[];
  readonly config: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

const raw = async (daemon: Daemon, name: string): Promise<Document> =>
  JSON.parse(await buildx(daemon, "imagetools", "inspect", "--raw", name)) as Document;

const socketOf = ({ roots }: Daemon): string => `unix://${roots.socketPath}`;

const DOCKERFILE = `ARG SOURCE_DATE_EPOCH
FROM ${IMAGE}
ARG A=1
ENV B=2
COPY a /a
RUN echo made > /made && mkdir /d
WORKDIR /w
`;

if (hasBuildx) {
  scenario(
    "media types, compression and annotations are as they were asked for",
    async () => {
      await using _registry = await withRegistry();
      const one = await engine("formats");
      const context = folder("formats-context", { Dockerfile: DOCKERFILE, a: "a" });
      const push = async (tag: string, options: string, ...more: string[]): Promise<Document> => {
        const name = `${registry}/team/app:${tag}`;
        const output = `type=image,name=${name},push=true${options}`;
        await build(one, "--provenance=false", "-o", output, ...more, context);
        return await raw(one, name);
      };
      const types = ({ layers }: Document): string[] => [
        ...new Set(layers.map(({ mediaType }) => mediaType)),
      ];
      const oci = await push("oci", ",oci-mediatypes=true");
      expect(oci.mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
      expect(types(oci)).toEqual(["application/vnd.oci.image.layer.v1.tar+gzip"]);
      const docker = await push("docker", ",oci-mediatypes=false");
      expect(docker.mediaType).toBe("application/vnd.docker.distribution.manifest.v2+json");
      expect(types(docker)).toEqual(["application/vnd.docker.image.rootfs.diff.tar.gzip"]);
      const zstd = await push(
        "zstd",
        ",compression=zstd,compression-level=6,force-compression=true",
      );
      expect(types(zstd)).toEqual(["application/vnd.oci.image.layer.v1.tar+zstd"]);
      const plain = await push("plain", ",compression=uncompressed,force-compression=true");
      expect(types(plain)).toEqual(["application/vnd.oci.image.layer.v1.tar"]);
      const noted = await push("noted", "", "--annotation", "org.example.by=me");
      expect(noted.annotations).toEqual({ "org.example.by": "me" });
      // All of them are the same image, and can be pulled.
      const two = await engine("formats-taker");
      for (const tag of ["oci", "docker", "zstd", "plain", "noted"]) {
        const name = `${registry}/team/app:${tag}`;
        await two.dockerOk("pull", name);
        expect(await two.dockerOk("run", "--rm", name, "cat", "/made")).toBe("made");
      }
      const refused = build(one, "-o", "type=image,name=x,compression=estargz", context);
      expect(refused).rejects.toThrow("compression=estargz is not supported");
      await refused.catch(() => undefined);
    },
    300_000,
  );

  scenario(
    "the same digest on two machines with SOURCE_DATE_EPOCH, as an image and as an archive",
    async () => {
      await using _registry = await withRegistry();
      const context = folder("epoch-context", { Dockerfile: DOCKERFILE, a: "a" });
      const digests: string[] = [];
      const archives: string[] = [];
      for (const name of ["epoch-one", "epoch-two"]) {
        const machine = await engine(name);
        const tag = `${registry}/team/${name}:1`;
        // A provenance says when it was built: it is another one each time.
        const epoch = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--provenance=false"];
        const output = `type=image,name=${tag},push=true,oci-mediatypes=true,rewrite-timestamp=true`;
        const facts = `${world.base}/${name}.json`;
        await build(machine, "-o", output, "--metadata-file", facts, ...epoch, context);
        const told = JSON.parse(readFileSync(facts, "utf8")) as Record<string, string>;
        digests.push(told["containerimage.digest"] ?? "");
        const file = `${world.base}/${name}.tar`;
        await build(machine, "-o", `type=oci,dest=${file}`, ...epoch, context);
        archives.push(new Bun.CryptoHasher("sha256").update(readFileSync(file)).digest("hex"));
        await Bun.sleep(1100);
      }
      expect(digests[0]).toMatch(/^sha256:/);
      expect(digests[1]).toBe(digests[0] ?? "");
      expect(archives[1]).toBe(archives[0] ?? "");
    },
    300_000,
  );

  scenario(
    "provenance and SBOM stand beside the image, and imagetools shows them",
    async () => {
      await using _registry = await withRegistry();
      const one = await engine("attest");
      const status = `Package: libfoo1\nStatus: install ok installed\nVersion: 1.2-3\nArchitecture: amd64\nSource: foo\n\n`;
      const context = folder("attest-context", {
        Dockerfile: `FROM ${IMAGE}\nARG PRIVATE\nCOPY status /var/lib/dpkg/status\nCOPY package.json /app/node_modules/left-pad/\n`,
        status,
        "package.json": '{"name":"left-pad","version":"1.3.0","license":"WTFPL"}',
      });
      const name = `${registry}/team/attested:1`;
      const args = ["-t", name, "--push", "--build-arg", "PRIVATE=x", context];
      await build(one, "--provenance", "mode=min", "--sbom", "true", ...args);
      const index = await raw(one, name);
      expect(index.mediaType).toBe("application/vnd.oci.image.index.v1+json");
      const [image, attestation] = index.manifests;
      expect(index.manifests).toHaveLength(2);
      expect(attestation?.platform).toEqual({ architecture: "unknown", os: "unknown" });
      expect(attestation?.annotations).toEqual({
        "vnd.docker.reference.digest": image?.digest ?? "",
        "vnd.docker.reference.type": "attestation-manifest",
      });
      const show = async (field: string): Promise<never> =>
        JSON.parse(
          await buildx(one, "imagetools", "inspect", name, "--format", `{{json .${field}}}`),
        ) as never;
      const provenance: { SLSA: Record<string, never> } = await show("Provenance");
      expect(provenance.SLSA).toMatchObject({
        buildType: "https://mobyproject.org/buildkit@v1",
        invocation: { parameters: { frontend: "dockerfile.v0" } },
        metadata: { completeness: { parameters: false } },
      } as never);
      expect(JSON.stringify(provenance)).not.toContain("PRIVATE");
      const sbom: { SPDX: { packages: { name: string; versionInfo?: string }[] } } =
        await show("SBOM");
      const packages = sbom.SPDX.packages.map((p) => `${p.name} ${p.versionInfo ?? ""}`);
      expect(packages.slice(0, 2)).toEqual(["libfoo1 1.2-3", "left-pad 1.3.0"]);
      // The image runs here and elsewhere as any other.
      expect(await one.dockerOk("run", "--rm", name, "cat", "/var/lib/dpkg/status")).toContain(
        "libfoo1",
      );
      const two = await engine("attest-taker");
      await two.dockerOk("pull", name);
      await two.dockerOk("run", "--rm", name, "true");

      await build(one, "--provenance", "mode=max,version=v1", ...args);
      const max: { SLSA: { buildDefinition: object } } = await show("Provenance");
      const text = JSON.stringify(max.SLSA.buildDefinition);
      expect(text).toContain('"build-arg:PRIVATE":"x"');
      expect(text).toContain(`pkg:docker/${IMAGE.replace(":latest", "")}@latest`);
      expect(() => JSON.parse(text) as unknown).not.toThrow();
      const refused = build(one, "--sbom", "generator=some/scanner", ...args);
      expect(refused).rejects.toThrow('the scanner "some/scanner" is not supported');
      await refused.catch(() => undefined);
    },
    300_000,
  );

  scenario(
    "what is pushed has a provenance by default, what stays here has none; files have what was asked for",
    async () => {
      await using _registry = await withRegistry();
      const one = await engine("defaults");
      const context = folder("defaults-context", {
        Dockerfile: "FROM scratch\nCOPY a /dir/a\nCOPY a /z\n",
        a: "a",
      });
      const name = `${registry}/team/plain:1`;
      await build(one, "-t", name, "--push", context);
      const index = await raw(one, name);
      expect(index.manifests.map(({ platform }) => platform?.os)).toEqual(["linux", "unknown"]);
      await build(one, "-t", name, "--push", "--provenance=false", context);
      expect((await raw(one, name)).manifests).toBeUndefined();

      const out = `${world.base}/defaults-out`;
      await build(one, "-o", out, context);
      expect(readdirSync(out).toSorted()).toEqual(["dir", "z"]);
      const both = ["--provenance=mode=min", "--sbom=true"];
      await build(one, ...both, "-o", `type=local,dest=${out},attestation-prefix=x-`, context);
      const found = readdirSync(out).toSorted();
      expect(found).toEqual(["dir", "x-provenance.json", "x-sbom.spdx.json", "z"]);
      const statement = JSON.parse(readFileSync(`${out}/x-provenance.json`, "utf8")) as {
        subject: readonly { name: string; digest: { sha256: string } }[];
      };
      // The digest of "a", as sha256sum has it.
      const sum = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
      const subjects = ["dir/a", "z"].map((path) => ({ name: path, digest: { sha256: sum } }));
      expect(statement.subject).toEqual(subjects);

      const platforms = ["--platform", "linux/amd64,linux/s390x"];
      const tar = `${world.base}/defaults.tar`;
      await build(one, ...platforms, "--sbom=true", "-o", `type=tar,dest=${tar}`, context);
      const names = [...readTar(readFileSync(tar)).keys()].map((path) => path.replace(/\/$/, ""));
      const inside = ["", "/dir", "/dir/a", "/sbom.spdx.json", "/z"];
      const expected = ["linux_amd64", "linux_s390x"].flatMap((directory) =>
        inside.map((path) => `${directory}${path}`),
      );
      expect(names.toSorted()).toEqual(expected);
      const split = `${world.base}/defaults-split`;
      await build(one, ...platforms, "-o", split, context);
      expect(readdirSync(split).toSorted()).toEqual(["linux_amd64", "linux_s390x"]);
    },
    60_000,
  );

  scenario(
    "no image is left that nobody asked for: of a failure, of files, of contexts",
    async () => {
      const one = await engine("nameless");
      const mark = "LABEL mark=nameless";
      // An engine of its own: they go when no build is running any more.
      const left = async (count: number): Promise<void> => {
        const list = async () =>
          (await one.dockerOk("images", "-aq", "--filter", "label=mark=nameless"))
            .split("\n")
            .filter((id) => id !== "");
        await until(`${count} images`, async () => (await list()).length === count, 120_000);
      };
      const partial = folder("nameless-partial", {
        Dockerfile: `FROM scratch\nARG TARGETARCH\n${mark}\nCOPY $TARGETARCH /arch\n`,
        amd64: "a",
      });
      const platforms = ["--platform", "linux/amd64,linux/s390x"];
      expect(await build(one, ...platforms, partial).then(() => "", String)).toContain("s390x");
      await left(0);
      const command = [...world.isolation.enter, ...naru, "build", ...platforms, partial];
      const failed = await run(command, { env: { NARU_HOST: socketOf(one) } });
      expect(failed.stderr).toContain("s390x");
      await left(0);
      const layout = folder("nameless-layout", {
        Dockerfile: `FROM ${IMAGE}\n${mark}\nRUN echo of the layout > /lay\n`,
      });
      await build(one, "-o", `type=oci,dest=${layout}/lay.tar`, layout);
      await left(0);
      await must(["tar", "-xf", `${layout}/lay.tar`, "-C", layout]);
      const upon = folder("nameless-upon", { Dockerfile: "FROM lay\nRUN cp /lay /copy\n" });
      const context = ["--build-context", `lay=oci-layout://${layout}`];
      await build(one, ...context, "-t", "upon:1", upon);
      await left(1);
      expect(await one.dockerOk("run", "--rm", "upon:1", "cat", "/copy")).toBe("of the layout");
    },
    300_000,
  );

  scenario("a push by digest has no tag, and imagetools makes an index of it", async () => {
    await using _registry = await withRegistry();
    const one = await engine("digests");
    const context = folder("digests-context", { Dockerfile: "FROM scratch\nCOPY a /\n", a: "a" });
    await buildx(one, "create", "--name", "byname", "--driver", "remote", socketOf(one));
    const name = `${registry}/team/digests`;
    const told = `${world.base}/digests.json`;
    const output = `type=image,name=${name},push-by-digest=true,name-canonical=true,push=true`;
    const byName = ["--builder", "byname", "build", "--provenance=false"];
    try {
      await buildx(one, ...byName, "--metadata-file", told, "-o", output, context);
    } finally {
      await buildx(one, "rm", "byname");
    }
    const metadata = JSON.parse(readFileSync(told, "utf8")) as Record<string, string>;
    const digest = metadata["containerimage.digest"] ?? "";
    const latest = await raw(one, `${name}:latest`).then(() => "it is there", String);
    expect(latest).toContain("not found");
    const joined = `${name}:joined`;
    await buildx(one, "imagetools", "create", "-t", joined, `${name}@${digest}`);
    const shown = await buildx(one, "imagetools", "inspect", joined);
    expect(shown).toContain(joined);
    expect(await one.dockerOk("pull", joined)).toContain(joined);
  });

  scenario(
    "several platforms: an index, cross builds without emulation, a clear word where it is missing",
    async () => {
      await using _registry = await withRegistry();
      const one = await engine("platforms");
      const text = `FROM --platform=$BUILDPLATFORM ${IMAGE} AS make
ARG TARGETARCH
RUN echo "for $TARGETARCH" > /out
FROM scratch
COPY --from=make /out /out
CMD ["/out"]
`;
      const context = folder("platforms-context", { Dockerfile: text });
      const name = `${registry}/team/both:1`;
      const both = ["--platform", "linux/amd64,linux/s390x"];
      const said = await build(one, ...both, "-t", name, "--push", context);
      expect(said).toMatch(/\[linux\/s390x make 2\/2\] RUN/);
      const index = await raw(one, name);
      const architectures = index.manifests.map(({ platform }) => platform?.architecture);
      expect(architectures.filter((one) => one !== "unknown")).toEqual(["amd64", "s390x"]);
      const two = await engine("platforms-taker");
      for (const architecture of ["amd64", "s390x"]) {
        await two.dockerOk("pull", "--platform", `linux/${architecture}`, name);
        const id = await two.dockerOk("create", "--platform", `linux/${architecture}`, name);
        const out = await two.docker("cp", `${id}:/out`, "-");
        expect(out.stdout).toContain(`for ${architecture}`);
      }
      const file = `${world.base}/both.tar`;
      await build(one, ...both, "-o", `type=oci,dest=${file}`, context);
      const entries = readTar(readFileSync(file));
      const top = JSON.parse(entries.get("index.json")?.body.toString() ?? "") as Document;
      expect(top.manifests[0]?.mediaType).toBe("application/vnd.oci.image.index.v1+json");
      const foreign = folder("foreign", { Dockerfile: 'FROM scratch\nRUN ["/x"]\n' });
      const failed = build(one, "--platform", "linux/mips64le", foreign);
      expect(failed).rejects.toThrow("RUN for linux/mips64le cannot run on this");
      await failed.catch(() => undefined);
    },
    300_000,
  );

  scenario("programs of another architecture run by what the kernel was told", async () => {
    // A rule of our own: "programs" for s390x are names of busybox's applets, and busybox is what runs them.
    const rules = `${world.base}/binfmt`;
    const name = `naru-test-${process.pid}`;
    const busybox = Bun.which("busybox") ?? "";
    const magic =
      "\\x7fELF\\x02\\x02\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x16";
    mkdirSync(rules);
    const inside = (script: string) => world.isolation.exec(["sh", "-c", script]);
    const mounted = await inside(
      `mount -t binfmt_misc none ${rules} && mount --bind ${rules} /proc/sys/fs/binfmt_misc && printf '%s' ':${name}:M::${magic}::${busybox}:F' > ${rules}/register`,
    );
    expect([mounted.code, mounted.stderr]).toEqual([0, ""]);
    try {
      const one = await engine("emulated");
      const elf = Buffer.concat([
        Buffer.from("7f454c460202010000000000000000000002", "hex"),
        Buffer.from("0016", "hex"),
        Buffer.alloc(100),
      ]);
      const context = folder("emulated-context", {
        Dockerfile:
          'FROM scratch\nCOPY --chmod=755 touch /bin/touch\nRUN ["/bin/touch", "/made"]\n',
      });
      writeFileSync(`${context}/touch`, elf);
      const out = `${world.base}/emulated-out`;
      await build(one, "--platform", "linux/s390x", "-o", out, context);
      expect(readdirSync(out)).toContain("made");
    } finally {
      await inside(`echo -1 > ${rules}/${name}`);
      await inside(`umount /proc/sys/fs/binfmt_misc; umount ${rules}; rmdir ${rules}`);
    }
  });

  scenario("a layout in a directory, and a Docker archive that docker load takes", async () => {
    const one = await engine("archives");
    const context = folder("archives-context", { Dockerfile: DOCKERFILE, a: "a" });
    const directory = `${world.base}/layout-out`;
    await build(one, "-o", `type=oci,dest=${directory},tar=false,name=some/app:1`, context);
    const index = JSON.parse(readFileSync(`${directory}/index.json`, "utf8")) as Document;
    const [, hex] = index.manifests[0]?.digest.split(":") ?? [];
    const manifest = JSON.parse(
      readFileSync(`${directory}/blobs/sha256/${hex}`, "utf8"),
    ) as Document;
    expect(manifest.layers.length).toBeGreaterThan(1);
    const file = `${world.base}/docker.tar`;
    await build(one, "-o", `type=docker,dest=${file},name=some/app:2`, context);
    const two = await engine("archives-taker");
    expect(await two.dockerOk("load", "-i", file)).toBe("Loaded image: some/app:2");
    expect(await two.dockerOk("run", "--rm", "some/app:2", "cat", "/made")).toBe("made");
  });
}

nothingIsLeft();
