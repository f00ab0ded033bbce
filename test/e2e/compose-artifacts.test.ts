/** Projects as artifacts of a registry. */
import { expect } from "bun:test";

import { BUSYBOX, check, enterNet, naruOnly } from "../harness/check.ts";
import { clientEnv } from "../harness/client.ts";
import { composeProject, dockerCompose } from "../harness/compose.ts";
import { run } from "../harness/process.ts";
import { startRegistry } from "../harness/registry.ts";

check(
  "projects are published to a registry, and read by -f and include; docker compose reads them, and is read",
  async (t) => {
    const registry = await startRegistry("naru", { isTls: true });
    t.defer(() => registry.stop());
    const env = { XDG_CACHE_HOME: t.folder(), SSL_CERT_FILE: registry.certificate };
    const files = {
      "compose.yaml": `
services:
  # a comment stays
  web:
    image: ${BUSYBOX}
    env_file: a.env
    extends:
      file: sub/base.yaml
      service: base
`,
      "over.yaml": 'services: {web: {labels: {a: "$$b"}}}\n',
      "a.env": "FROM=far\n",
      "sub/base.yaml": "services:\n  base:\n    command: [sleep, '600']\n    init: true\n",
    };
    const p = composeProject(t, files, env);
    const here = ["-f", "compose.yaml", "-f", "over.yaml"];
    const told = await p.naru(...here, "publish", `${registry.host}/shop/app:1`);
    expect([told.code, told.stderr]).toEqual([1, expect.stringContaining("--with-env")]);
    const target = `${registry.host}/shop/naru:1`;
    await p.naruOk(...here, "publish", "-y", "--with-env", target);
    const q = composeProject(t, {}, env);
    const read = async (artifact: string): Promise<unknown> =>
      JSON.parse(await q.naruOk("-f", `oci://${artifact}`, "config", "--format", "json")).services;
    const expected = {
      web: expect.objectContaining({
        command: ["sleep", "600"],
        environment: { FROM: "far" },
        image: BUSYBOX,
        labels: { a: "$$b" },
      }),
    };
    expect(await read(target)).toEqual(expected);
    await q.naruOk("-f", `oci://${target}`, "up", "-d");
    expect(
      await q.naruOk("-f", `oci://${target}`, "exec", "-T", "web", "sh", "-c", "echo $FROM"),
    ).toBe("far");
    q.write("compose.yaml", `include: ["oci://${target}"]\nservices: {own: {image: x}}\n`);
    expect(await q.naruOk("config", "--services")).toBe("own\nweb");
    const missing = await q.naru("-f", `oci://${registry.host}/shop/none:1`, "config");
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("shop/none")]);
    if (dockerCompose === undefined) return;
    // It asks the registry itself, which is on the engine's network.
    const peer = async (folder: string, ...args: string[]): Promise<string> => {
      const argv = [...enterNet, dockerCompose ?? "", ...args];
      const out = await run(argv, { cwd: folder, env: { ...clientEnv, ...env } });
      expect([out.code, out.code === 0 ? "" : out.stderr]).toEqual([0, ""]);
      return out.stdout;
    };
    const theirs = await peer(q.folder, "-f", `oci://${target}`, "config", "--format", "json");
    expect(JSON.parse(theirs).services).toEqual(expected);
    for (const version of ["1.0", "1.1"]) {
      const other = `${registry.host}/shop/docker:${version}`;
      const flags = ["-y", "--with-env", "--oci-version", version];
      await peer(p.folder, ...here, "publish", ...flags, other);
      expect(await read(other)).toEqual(expected);
    }
  },
  { skip: naruOnly("artifacts are read through the engine's own endpoints") },
);
