/** Images to registries and back: Debian's docker-registry and naru's own, with the real client. */
import { expect } from "bun:test";

import { BUSYBOX, api, check, docker, dockerOk, type Check } from "../harness/check.ts";
import { BUSYBOX_CONFIG, dockerArchive } from "../harness/images.ts";
import {
  type PeerRegistry,
  type RegistryKind,
  type RegistryOptions,
  hasDockerRegistry,
  startRegistry,
} from "../harness/registry.ts";
import { writeTar } from "../harness/tar.ts";

const LOGIN = { username: "alice", password: "s3cret:with a colon" };

const withRegistry = async (
  t: Check,
  kind: RegistryKind,
  options: RegistryOptions = {},
): Promise<PeerRegistry> => {
  const registry = await startRegistry(kind, options);
  t.defer(() => registry.stop());
  return registry;
};

/** A small image of two layers, one of them its own. */
const makeImage = async (t: Check, name: string): Promise<void> => {
  t.defer(() => docker(["rmi", "-f", name]));
  const layers = [
    writeTar([{ name: "same", body: "for all" }]),
    writeTar([{ name: "own", body: Buffer.alloc(3_000_000, name) }]),
  ];
  const out = await docker(["load"], { stdin: dockerArchive([name], layers, BUSYBOX_CONFIG) });
  if (out.code !== 0) throw new Error(out.stderr);
};

const digestsOf = async (name: string): Promise<string[]> =>
  JSON.parse(
    await dockerOk("image", "inspect", "--format", "{{json .RepoDigests}}", name),
  ) as string[];
const idOf = (name: string): Promise<string> =>
  dockerOk("image", "inspect", "--format", "{{.Id}}", name);

check(
  "an image for another processor is run with a warning, unless it was asked for",
  async (t) => {
    const name = `${t.name()}:1`;
    t.defer(() => docker(["rmi", "-f", name]));
    const stdin = writeTar([{ name: "f", body: "x" }]);
    const made = await docker(["import", "--platform", "linux/s390x", "-", name], { stdin });
    expect(made.code).toBe(0);
    const create = async (query: string): Promise<string[]> => {
      const body = { Image: name, Cmd: ["true"] };
      const reply = await api("POST", `/containers/create${query}`, { body });
      const { Id, Warnings } = reply.json<{ Id: string; Warnings: string[] }>();
      await dockerOk("rm", Id);
      return Warnings;
    };
    expect(await create("")).toEqual([
      expect.stringMatching(
        /^The requested image's platform \(linux\/s390x\) does not match the detected host platform \(linux\/.+\) and no specific platform was requested$/,
      ),
    ]);
    expect(await create("?platform=linux/s390x")).toEqual([]);
  },
);

for (const kind of ["docker-registry", "naru"] as const) {
  const skip =
    kind === "naru" || hasDockerRegistry ? undefined : "docker-registry is not installed";

  check(
    `${kind}: an image that was pushed comes back as it was, by tag and by digest`,
    async (t) => {
      const registry = await withRegistry(t, kind);
      const name = `${registry.host}/team/app:1`;
      await makeImage(t, name);
      const id = await idOf(name);
      const pushed = await registry.dockerOk("push", name);
      const digest = /1: digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(pushed)?.[1] ?? "";
      expect(pushed).toContain(`The push refers to repository [${registry.host}/team/app]`);
      expect(await digestsOf(name)).toEqual([`${registry.host}/team/app@${digest}`]);
      await dockerOk("rmi", name);
      const pulled = await registry.dockerOk("pull", name);
      expect(pulled).toContain("1: Pulling from team/app");
      expect(pulled).toContain(`Digest: ${digest}`);
      expect(pulled).toContain(`Status: Downloaded newer image for ${name}`);
      expect(await idOf(name)).toBe(id);
      expect(await registry.dockerOk("pull", name)).toContain(`Image is up to date for ${name}`);
      await dockerOk("rmi", name);
      const pinned = `${registry.host}/team/app@${digest}`;
      await registry.dockerOk("pull", pinned);
      t.defer(() => docker(["rmi", "-f", pinned]));
      expect(await idOf(pinned)).toBe(id);
      // What was pulled goes out again byte for byte.
      await dockerOk("tag", pinned, `${registry.host}/team/app:2`);
      t.defer(() => docker(["rmi", "-f", `${registry.host}/team/app:2`]));
      expect(await registry.dockerOk("push", `${registry.host}/team/app:2`)).toContain(digest);
    },
    { skip },
  );

  check(
    `${kind}: a layer that another repository has is mounted, one that is there is not sent`,
    async (t) => {
      const registry = await withRegistry(t, kind);
      await makeImage(t, `${registry.host}/one:1`);
      await registry.dockerOk("push", `${registry.host}/one:1`);
      await dockerOk("tag", `${registry.host}/one:1`, `${registry.host}/two:1`);
      t.defer(() => docker(["rmi", "-f", `${registry.host}/two:1`]));
      expect(await registry.dockerOk("push", `${registry.host}/two:1`)).toContain(
        "Mounted from one",
      );
      expect(await registry.dockerOk("push", `${registry.host}/two:1`)).toContain(
        "Layer already exists",
      );
    },
    { skip },
  );

  check(
    `${kind}: passwords`,
    async (t) => {
      const registry = await withRegistry(t, kind, { login: LOGIN });
      const name = `${registry.host}/private:1`;
      await makeImage(t, name);
      const refused = await registry.docker("push", name);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(
        /no basic auth credentials|unauthorized|authentication required/,
      );
      const { username, password } = LOGIN;
      const wrong = await registry.docker("login", "-u", username, "-p", "wrong", registry.host);
      expect(wrong.code).toBe(1);
      expect(wrong.stderr).toContain("401 Unauthorized");
      expect(
        await registry.dockerOk("login", "-u", username, "-p", password, registry.host),
      ).toContain("Login Succeeded");
      await registry.dockerOk("push", name);
      await dockerOk("rmi", name);
      await registry.dockerOk("pull", name);
      await dockerOk("rmi", name);
      await registry.dockerOk("logout", registry.host);
      expect((await registry.docker("pull", name)).code).toBe(1);
    },
    { skip },
  );

  check(
    `${kind}: TLS with a certificate of its own, which is enough on loopback`,
    async (t) => {
      const registry = await withRegistry(t, kind, { isTls: true, login: LOGIN });
      const name = `${registry.host}/sealed:1`;
      await makeImage(t, name);
      const { username, password } = LOGIN;
      await registry.dockerOk("login", "-u", username, "-p", password, registry.host);
      await registry.dockerOk("push", name);
      await dockerOk("rmi", name);
      await registry.dockerOk("pull", name);
    },
    { skip },
  );

  check(
    `${kind}: all tags; distribution inspect; what is not there`,
    async (t) => {
      const registry = await withRegistry(t, kind);
      const name = `${registry.host}/many`;
      await makeImage(t, `${name}:1`);
      await dockerOk("tag", `${name}:1`, `${name}:2`);
      t.defer(() => docker(["rmi", "-f", `${name}:2`]));
      await registry.dockerOk("push", "-a", name);
      const inspected = await api("GET", `/distribution/${name}:2/json`);
      expect(inspected.json<{ Platforms: object[] }>().Platforms).toEqual([
        expect.objectContaining({ os: "linux" }),
      ]);
      await dockerOk("rmi", `${name}:1`, `${name}:2`);
      await registry.dockerOk("pull", "-a", name);
      expect(await idOf(`${name}:2`)).toBe(await idOf(`${name}:1`));
      const missing = await registry.docker("pull", `${name}:nope`);
      expect(missing.stderr).toContain(`manifest for ${name}:nope not found: manifest unknown: `);
      expect((await api("GET", `/distribution/${name}:nope/json`)).status).toBe(404);
    },
    { skip },
  );

  check(
    `${kind}: run pulls what is missing, as its policy says`,
    async (t) => {
      const registry = await withRegistry(t, kind);
      const name = `${registry.host}/busybox:1`;
      await dockerOk("tag", BUSYBOX, name);
      t.defer(() => docker(["rmi", "-f", name]));
      await registry.dockerOk("push", name);
      await dockerOk("rmi", name);
      expect((await registry.docker("run", "--rm", "--pull", "never", name, "true")).code).toBe(
        125,
      );
      const out = await registry.docker("run", "--rm", name, "echo", "came");
      expect(out.stdout).toBe("came\n");
      expect(out.stderr).toContain(`Unable to find image '${name}' locally`);
      const again = await registry.docker("run", "--rm", "--pull", "always", name, "true");
      expect(again.stderr).toContain("Image is up to date");
    },
    { skip },
  );

  check(
    `${kind}: docker manifest makes a list; its platforms are chosen from`,
    async (t) => {
      const registry = await withRegistry(t, kind);
      const name = `${registry.host}/multi`;
      for (const architecture of ["amd64", "arm64"]) {
        await makeImage(t, `${name}:${architecture}`);
        await registry.dockerOk("push", `${name}:${architecture}`);
      }
      const manifest = (...args: string[]): Promise<string> =>
        registry.dockerOk("manifest", ...args);
      await manifest("create", "--insecure", `${name}:1`, `${name}:amd64`, `${name}:arm64`);
      await manifest("annotate", `${name}:1`, `${name}:arm64`, "--os", "linux", "--arch", "arm64");
      await manifest("push", "--insecure", `${name}:1`);
      t.defer(() => docker(["rmi", "-f", `${name}:1`]));
      const reply = await api("GET", `/distribution/${name}:1/json`);
      const { Platforms } = reply.json<{ Platforms: { architecture: string }[] }>();
      expect(Platforms.map((one) => one.architecture).toSorted()).toEqual(["amd64", "arm64"]);
      await registry.dockerOk("pull", "--platform", "linux/amd64", `${name}:1`);
      expect(await idOf(`${name}:1`)).toBe(await idOf(`${name}:amd64`));
      const wrong = await registry.docker("pull", "--platform", "linux/s390x", `${name}:1`);
      expect(wrong.stderr).toContain(
        "no matching manifest for linux/s390x in the manifest list entries",
      );
    },
    { skip },
  );
}
