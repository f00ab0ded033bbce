/** What builds may be granted beyond an ordinary container's rights, and who says so. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";

import { buildxAt, hasBuildx } from "../harness/buildx-client.ts";
import { buildWorld } from "./build-world.ts";
import { type Daemon, IMAGE, openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();
const { folder } = buildWorld(world);

const started = async (name: string, builder: object | undefined): Promise<Daemon> => {
  const roots = world.roots(name);
  const path = `${roots.base}/daemon.json`;
  writeFileSync(path, JSON.stringify(builder === undefined ? {} : { builder }));
  const daemon = await world.start(roots, { flags: ["--config-file", path] });
  await daemon.loadImage();
  return daemon;
};

/** "CapEff Seccomp" of a step that asks for everything, and of one that asks for nothing. */
const DOCKERFILE = `FROM ${IMAGE}
RUN --security=insecure grep -E "^(CapEff|Seccomp):" /proc/self/status > /asked
RUN grep -E "^(CapEff|Seccomp):" /proc/self/status > /plain
`;

const numbersOf = (text: string): string[] => text.match(/[\da-f]+$/gm) ?? [];

scenario("security.insecure is granted where the config file and the client say so", async () => {
  const one = await started("granted", { entitlements: { "security-insecure": true } });
  const context = folder("granted-context", { Dockerfile: DOCKERFILE });
  const env = { NARU_HOST: `unix://${one.roots.socketPath}` };
  const without = await world.cli(["build", "-q", context], env);
  expect(without.code).not.toBe(0);
  expect(without.stderr).toContain("--allow security.insecure grants it");
  const build = ["build", "-q", "-t", "asked", "--allow", "security.insecure", context];
  expect(await world.cli(build, env)).toMatchObject({ code: 0 });
  const [everything = "", noFilter] = numbersOf(
    await one.dockerOk("run", "--rm", "asked", "cat", "/asked"),
  );
  const [few = "", filter] = numbersOf(await one.dockerOk("run", "--rm", "asked", "cat", "/plain"));
  expect([noFilter, filter]).toEqual(["0", "2"]);
  const privileged = await one.dockerOk(
    "run",
    "--rm",
    "--privileged",
    IMAGE,
    "sh",
    "-c",
    "grep CapEff /proc/self/status",
  );
  expect(numbersOf(privileged)).toEqual([everything]);
  expect(few).not.toBe(everything);
  if (hasBuildx) {
    const host = `unix://${one.roots.socketPath}`;
    const asked = [
      "build",
      "--allow",
      "security.insecure",
      "--no-cache",
      "-t",
      "by-buildx",
      context,
    ];
    expect(await buildxAt(host, asked, world.isolation.enter)).toMatchObject({ code: 0 });
    const shown = numbersOf(await one.dockerOk("run", "--rm", "by-buildx", "cat", "/asked"));
    expect(shown).toEqual([everything, "0"]);
  }
});

scenario(
  "without a word in the config file it is granted to nobody; the host's network can be withheld",
  async () => {
    const usual = await started("usual", undefined);
    const context = folder("usual-context", { Dockerfile: DOCKERFILE });
    const env = { NARU_HOST: `unix://${usual.roots.socketPath}` };
    const refused = await world.cli(["build", "-q", "--allow", "security.insecure", context], env);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(
      "granting entitlement security.insecure is not allowed by build daemon configuration",
    );
    const unknown = await world.cli(["build", "-q", "--allow", "everything", context], env);
    expect(unknown.stderr).toContain('unknown entitlement "everything"');
    const withheld = await started("withheld", { entitlements: { "network-host": false } });
    const hostNetwork = folder("withheld-context", {
      Dockerfile: `FROM ${IMAGE}\nRUN --network=host true\n`,
    });
    const build = (...flags: string[]) =>
      world.cli(["build", "-q", ...flags, hostNetwork], {
        NARU_HOST: `unix://${withheld.roots.socketPath}`,
      });
    const asked = await build("--allow", "network.host");
    expect(asked.code).not.toBe(0);
    expect(asked.stderr).toContain(
      "granting entitlement network.host is not allowed by build daemon configuration",
    );
    const forAll = await build("--network", "host");
    expect(forAll.code).not.toBe(0);
    expect(forAll.stderr).toContain("granted to no build by this daemon's configuration");
  },
);

nothingIsLeft();
