/** `naru build`: several platforms, attestations, archives and files as BuildKit's exporters write them. */
import { expect } from "bun:test";
import { existsSync, readFileSync, readdirSync } from "node:fs";

import { write } from "../harness/build.ts";
import {
  BUSYBOX,
  type Check,
  check,
  docker,
  dockerOk,
  engine,
  naruOnly,
  run,
} from "../harness/check.ts";
import { naruBinary } from "../harness/naru.ts";
import type { Output } from "../harness/process.ts";
import { readTar } from "../harness/tar.ts";

const OWN = { skip: naruOnly("naru build") };
const FILES = { Dockerfile: "FROM scratch\nCOPY a /dir/a\n", a: "content" };

const build = (t: Check, ...args: string[]): Promise<Output> => {
  const folder = write(t.folder(), FILES);
  const env = { NARU_HOST: engine.host };
  return run([naruBinary(), "build", "--progress", "plain", ...args, folder], { env });
};

const good = ({ code, stdout, stderr }: Output): string => {
  expect(code, stderr).toBe(0);
  return stdout.trim();
};

check(
  "several platforms as an OCI archive, with what is told of it",
  async (t) => {
    const out = t.folder();
    const platforms = ["--platform", "linux/amd64,linux/s390x"];
    const files = ["--metadata-file", `${out}/m.json`, "--iidfile", `${out}/id`];
    const built = await build(t, ...platforms, ...files, "-o", `type=oci,dest=${out}/a.tar`);
    good(built);
    expect(built.stderr).toContain("[linux/s390x 2/2] COPY a /dir/a");
    const archive = readTar(readFileSync(`${out}/a.tar`));
    const metadata = JSON.parse(readFileSync(`${out}/m.json`, "utf8")) as Record<string, never>;
    const digest: string = metadata["containerimage.digest"] ?? "";
    expect(metadata["containerimage.descriptor"]).toMatchObject({ digest });
    expect(readFileSync(`${out}/id`, "utf8")).toBe(digest);
    const blob = archive.get(`blobs/sha256/${digest.split(":")[1]}`);
    const index = JSON.parse(Buffer.from(blob?.body ?? "").toString()) as {
      manifests: readonly { platform: { architecture: string } }[];
    };
    const architectures = index.manifests.map(({ platform }) => platform.architecture);
    expect(architectures).toEqual(["amd64", "s390x"]);
  },
  OWN,
);

check(
  "platforms are built side by side, what they have in common once",
  async (t) => {
    const id = t.name();
    const mount = `--mount=type=cache,id=${id},target=/seen`;
    const both = "until [ -e /seen/amd64 ] && [ -e /seen/s390x ]; do sleep 0.05; done";
    const Dockerfile = `FROM --platform=$BUILDPLATFORM ${BUSYBOX} AS shared
RUN ${mount} echo once >> /seen/shared
FROM shared AS meet
ARG TARGETARCH
RUN ${mount} touch /seen/$TARGETARCH; ${both}; cp /seen/shared /count
FROM scratch
COPY --from=meet /count /count
`;
    const folder = write(t.folder(), { Dockerfile });
    const out = t.folder();
    const words = ["--platform", "linux/amd64,linux/s390x", "-o", `type=local,dest=${out}`];
    const env = { NARU_HOST: engine.host };
    const command = [naruBinary(), "build", "--progress", "plain", ...words, folder];
    const { code, stderr } = await run(command, { env });
    expect(code, stderr).toBe(0);
    expect(stderr).toContain("[linux/amd64 meet 3/3] RUN");
    for (const name of ["linux_amd64", "linux_s390x"]) {
      expect(readFileSync(`${out}/${name}/count`, "utf8")).toBe("once\n");
    }
  },
  OWN,
);

check(
  "several platforms as one image of the engine, and each as files",
  async (t) => {
    const name = `${t.name()}:1`;
    t.defer(() => docker(["rmi", "-f", name]));
    const platforms = ["--platform", "linux/amd64,linux/s390x"];
    expect(good(await build(t, ...platforms, "-t", name))).toBe(name);
    const inspect = ["image", "inspect", "--platform", "linux/s390x", "-f", "{{.Architecture}}"];
    expect(await dockerOk(...inspect, name)).toBe("s390x");
    const out = t.folder();
    good(await build(t, ...platforms, "-o", out));
    expect(readdirSync(out).toSorted()).toEqual(["linux_amd64", "linux_s390x"]);
    expect(readFileSync(`${out}/linux_s390x/dir/a`, "utf8")).toBe("content");
  },
  OWN,
);

check(
  "what is attested lies beside files, and a layout goes into a directory",
  async (t) => {
    const out = t.folder();
    const attest = ["--provenance", "mode=max", "--sbom", "true"];
    good(await build(t, ...attest, "-o", out));
    const found = readdirSync(out).toSorted();
    expect(found).toEqual(["dir", "provenance.json", "sbom.spdx.json"]);
    const layout = t.folder();
    const compressed = `type=oci,dest=${layout},tar=false,compression=zstd,name=some/app:1`;
    good(await build(t, "-o", compressed, "-o", `type=tar,dest=${out}/b.tar`));
    expect(existsSync(`${layout}/oci-layout`)).toBe(true);
    expect(readTar(readFileSync(`${out}/b.tar`)).has("dir/a")).toBe(true);
  },
  OWN,
);

check(
  "options that no exporter has are refused by name, and leave nothing",
  async (t) => {
    const out = t.folder();
    const refused = await build(t, "-o", `type=oci,dest=${out}/a.tar,color=red`);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('option "color=red" of exporter "oci"');
    const unknown = await build(t, "--attest", "type=horoscope");
    expect(unknown.stderr).toContain('attestation "type=horoscope"');
    const pushed = await build(t, "--push");
    expect(pushed.stderr).toContain("a pushed image needs a name");
    expect(readdirSync(out)).toEqual([]);
    const syntax = await build(t, "--build-arg", "BUILDKIT_SYNTAX=some/frontend:1");
    expect(syntax.stderr).toContain('the frontend "some/frontend:1" is not run by naru build');
    good(await build(t, "--build-arg", "BUILDKIT_SYNTAX=docker/dockerfile:1"));
  },
  OWN,
);
