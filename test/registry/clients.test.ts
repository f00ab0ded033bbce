/** Clients that others wrote: skopeo, buildah and podman of the distribution, where they are installed. */
import { mkdirSync, writeFileSync } from "node:fs";

import { afterAll, describe, expect, test } from "bun:test";

import { BUSYBOX_CONFIG, busyboxRoot, dockerArchive } from "../harness/images.ts";
import { must, run } from "../harness/process.ts";
import { writeTar } from "../harness/tar.ts";
import { cleanUp, serve, temporaryDirectory } from "./world.ts";

afterAll(cleanUp);

const directory = temporaryDirectory();
const has = (program: string): boolean => Bun.which(program) !== null;

const root = writeTar(await busyboxRoot());
/** Two images of one layer: their configs make them different. */
const [archive, second] = ["first", "second"].map((name) => {
  const path = `${directory}/${name}.tar`;
  const config = { ...BUSYBOX_CONFIG, Labels: { name } };
  writeFileSync(path, dockerArchive([`client/${name}:latest`], [root], config));
  return path;
});

const htpasswd = `${directory}/htpasswd`;
const hash = await Bun.password.hash("open sesame", { algorithm: "bcrypt", cost: 4 });
writeFileSync(htpasswd, `alice:${hash}\n`);
const rules = `${directory}/rules.json`;
writeFileSync(
  rules,
  JSON.stringify({
    access: [
      { repositories: "public/**", users: ["anonymous"], actions: ["pull"] },
      { users: ["alice"], actions: ["*"] },
    ],
  }),
);
const policy = `${directory}/policy.json`;
writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');

const digestOf = (inspect: string): string =>
  (JSON.parse(inspect) as { Digest?: string }).Digest ?? "";

describe.skipIf(!has("skopeo"))("skopeo", () => {
  const skopeo = (...args: string[]) => must(["skopeo", "--policy", policy, ...args]);
  const insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"];

  test("push, inspect, list, copy between repositories, pull, delete", async () => {
    const { host } = await serve();
    await skopeo("copy", ...insecure, `docker-archive:${archive}`, `docker://${host}/sk/a:v1`);
    const inspect = await skopeo("inspect", "--tls-verify=false", `docker://${host}/sk/a:v1`);
    expect(digestOf(inspect)).toStartWith("sha256:");
    await skopeo(
      "copy",
      "--all",
      ...insecure,
      `docker://${host}/sk/a:v1`,
      `docker://${host}/sk/b:v2`,
    );
    const tags = await skopeo("list-tags", "--tls-verify=false", `docker://${host}/sk/b`);
    expect((JSON.parse(tags) as { Tags: string[] }).Tags).toEqual(["v2"]);
    await skopeo("copy", ...insecure, `docker://${host}/sk/b:v2`, `dir:${directory}/pulled`);
    await skopeo("delete", "--tls-verify=false", `docker://${host}/sk/b:v2`);
    const gone = await run([
      "skopeo",
      "--policy",
      policy,
      "inspect",
      "--tls-verify=false",
      `docker://${host}/sk/b:v2`,
    ]);
    expect(gone.stderr).toContain("manifest unknown");
  }, 300_000);

  test("zstd layers and OCI manifests", async () => {
    const { host, url } = await serve();
    await skopeo(
      "copy",
      ...insecure,
      "--format",
      "oci",
      "--dest-compress-format",
      "zstd",
      `docker-archive:${archive}`,
      `docker://${host}/sk/zstd:v1`,
    );
    const reply = await fetch(`${url}/v2/sk/zstd/manifests/v1`);
    expect(await reply.text()).toContain("application/vnd.oci.image.layer.v1.tar+zstd");
    await skopeo("copy", ...insecure, `docker://${host}/sk/zstd:v1`, `oci:${directory}/zstd:v1`);
  }, 300_000);

  test("credentials, and anonymous pulls beside them", async () => {
    const { host } = await serve(["--htpasswd", htpasswd, "--config-file", rules]);
    const creds = ["--dest-creds", "alice:open sesame"];
    await skopeo(
      "copy",
      ...insecure,
      ...creds,
      `docker-archive:${archive}`,
      `docker://${host}/public/a:v1`,
    );
    await skopeo(
      "copy",
      ...insecure,
      ...creds,
      `docker-archive:${archive}`,
      `docker://${host}/secret/a:v1`,
    );
    await skopeo("inspect", "--no-creds", "--tls-verify=false", `docker://${host}/public/a:v1`);
    const denied = await run([
      "skopeo",
      "inspect",
      "--no-creds",
      "--tls-verify=false",
      `docker://${host}/secret/a:v1`,
    ]);
    expect(denied.stderr).toContain("unauthorized");
  }, 300_000);
});

for (const program of ["buildah", "podman"]) {
  describe.skipIf(!has(program))(program, () => {
    const home = `${directory}/${program}`;
    mkdirSync(home, { recursive: true });
    const stored = [`--root=${home}/root`, `--runroot=${home}/run`, "--storage-driver=vfs"];
    const call = (...args: string[]) => must([program, ...stored, ...args], { timeoutMs: 120_000 });

    test("log in, push, several platforms in one index, pull", async () => {
      const { host, url } = await serve(["--htpasswd", htpasswd]);
      const authfile = `${home}/auth.json`;
      const flags = ["--tls-verify=false", "--authfile", authfile];
      await call("login", ...flags, "-u", "alice", "-p", "open sesame", host);
      await call("manifest", "create", "several");
      for (const [tag, path] of Object.entries({ amd64: archive, arm64: second })) {
        await call("pull", `docker-archive:${path}`);
        const name = tag === "amd64" ? "first" : "second";
        const target = `docker://${host}/${program}/a:${tag}`;
        await call("push", ...flags, `client/${name}:latest`, target);
        await call("manifest", "add", ...flags, "--arch", tag, "several", target);
      }
      const several = `docker://${host}/${program}/several:v1`;
      await call("manifest", "push", ...flags, "--all", "several", several);
      const reply = await fetch(`${url}/v2/${program}/several/manifests/v1`, {
        headers: { authorization: `Basic ${Buffer.from("alice:open sesame").toString("base64")}` },
      });
      const { manifests } = (await reply.json()) as { manifests: { platform: object }[] };
      expect(manifests.map((item) => item.platform)).toMatchObject([
        { architecture: "amd64" },
        { architecture: "arm64" },
      ]);
      await call("rmi", "--all", "--force");
      await call("pull", ...flags, several);
    }, 300_000);
  });
}

/** Programs of Go modules: `go install oras.land/oras/cmd/oras@latest`, crane and regctl likewise. */
describe.skipIf(!has("oras"))("oras", () => {
  test("an artifact and what is attached to it: push, discover, copy with referrers, pull", async () => {
    const { host } = await serve();
    const at = `${directory}/oras`;
    mkdirSync(at, { recursive: true });
    writeFileSync(`${at}/sbom.json`, '{"a":1}');
    const oras = (...args: string[]) => must(["oras", ...args], { cwd: at });
    const kind = ["--artifact-type", "application/spdx+json"];
    const file = "sbom.json:application/json";
    await oras("push", "--plain-http", `${host}/or/a:1`, "--artifact-type", "test/chart", file);
    await oras("attach", "--plain-http", `${host}/or/a:1`, ...kind, file);
    const copying = ["--from-plain-http", "--to-plain-http", "-r"];
    await oras("cp", ...copying, `${host}/or/a:1`, `${host}/or/b:2`);
    const found = await oras("discover", "--plain-http", "--format", "json", `${host}/or/b:2`);
    expect(found).toContain("application/spdx+json");
    await oras("pull", "--plain-http", "-o", "out", `${host}/or/b:2`);
    expect(await Bun.file(`${at}/out/sbom.json`).text()).toBe('{"a":1}');
  }, 60_000);
});

describe.skipIf(!has("crane") || !has("skopeo"))("crane", () => {
  test("copy, tag, index, validate, list, delete", async () => {
    const { host } = await serve();
    const crane = (verb: string, ...args: string[]) => must(["crane", verb, "--insecure", ...args]);
    const first = `${host}/cr/a:1`;
    const target = ["--dest-tls-verify=false", `docker-archive:${archive}`, `docker://${first}`];
    await must(["skopeo", "--policy", policy, "copy", ...target]);
    await crane("copy", first, `${host}/cr/b:1`);
    await crane("tag", `${host}/cr/b:1`, "second");
    await crane("mutate", `${host}/cr/b:1`, "-t", `${host}/cr/b:other`, "--label", "x=y");
    const members = ["-m", `${host}/cr/b:1`, "-m", `${host}/cr/b:other`];
    await must(["crane", "index", "append", "--insecure", "-t", `${host}/cr/b:both`, ...members]);
    await crane("validate", "--remote", `${host}/cr/b:both`);
    expect((await crane("ls", `${host}/cr/b`)).trim().split("\n")).toEqual([
      "1",
      "both",
      "other",
      "second",
    ]);
    await crane("delete", `${host}/cr/b:second`);
    expect(await crane("catalog", host)).toContain("cr/b");
  }, 60_000);
});

describe.skipIf(!has("regctl") || !has("skopeo"))("regctl", () => {
  test("copy with referrers, artifacts, zstd, export and import, a tag deleted", async () => {
    const { host } = await serve();
    const config = `${directory}/regctl.json`;
    const regctl = (...args: string[]) =>
      must(["regctl", ...args], { env: { REGCTL_CONFIG: config } });
    await regctl("registry", "set", "--tls", "disabled", host);
    const first = `${host}/rc/a:1`;
    const target = ["--dest-tls-verify=false", `docker-archive:${archive}`, `docker://${first}`];
    await must(["skopeo", "--policy", policy, "copy", ...target]);
    writeFileSync(`${directory}/note`, "a note");
    const note = ["--artifact-type", "test/note", "--file", `${directory}/note`];
    await regctl("artifact", "put", ...note, "--subject", first);
    await regctl("image", "copy", "--referrers", "--digest-tags", first, `${host}/rc/b:1`);
    expect(await regctl("artifact", "list", `${host}/rc/b:1`)).toContain("test/note");
    await regctl(
      "image",
      "mod",
      `${host}/rc/b:1`,
      "--create",
      `${host}/rc/b:z`,
      "--layer-compress",
      "zstd",
    );
    expect(await regctl("manifest", "get", `${host}/rc/b:z`)).toContain("zstd");
    await regctl("image", "export", `${host}/rc/b:z`, `${directory}/rc.tar`);
    await regctl("image", "import", `${host}/rc/c:1`, `${directory}/rc.tar`);
    await regctl("tag", "rm", `${host}/rc/b:z`);
    expect((await regctl("tag", "ls", `${host}/rc/b`)).trim()).toBe("1");
  }, 60_000);
});
