/** Volumes of network file systems where the kernel or the server is missing: a clear word, nothing half-made. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";

import { IMAGE, openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const knows = (type: string): boolean =>
  readFileSync("/proc/filesystems", "utf8").split(/\s+/).includes(type);

scenario("NFS and CIFS that cannot be mounted", async () => {
  const roots = world.roots("mounts");
  const daemon = await world.start(roots);
  await daemon.loadImage();
  const options: Record<string, readonly string[]> = {
    nfs: ["type=nfs", "device=:/export", "o=addr=127.0.0.1,nfsvers=4,soft,timeo=1,retrans=1"],
    cifs: ["type=cifs", "device=//127.0.0.1/share", "o=addr=127.0.0.1,username=a,password=b"],
  };
  for (const [type, list] of Object.entries(options)) {
    const flags = list.flatMap((option) => ["-o", option]);
    await daemon.dockerOk("volume", "create", ...flags, type);
    const run = await daemon.docker(
      "run",
      "--name",
      `on-${type}`,
      "-v",
      `${type}:/data`,
      IMAGE,
      "true",
    );
    expect(run.code).toBe(125);
    expect(run.stderr).toContain(`failed to mount local volume`);
    const reason = knows(type) ? /refused|timed out/ : `this kernel has no file system "${type}"`;
    if (typeof reason === "string") expect(run.stderr).toContain(reason);
    else expect(run.stderr).toMatch(reason);
    expect(await daemon.state(`on-${type}`)).toBeUndefined();
    await daemon.dockerOk("volume", "rm", type);
  }
  const sized = await daemon.docker("volume", "create", "-o", "size=10m", "sized");
  expect([sized.code, sized.stderr]).toEqual([1, expect.stringContaining("quota")]);
  expect(await daemon.dockerOk("volume", "ls", "-q")).toBe("");
});

nothingIsLeft();
