/** The trust policy in a daemon: run, build, compose, and a policy that changes under way. */
import { expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";

import { IMAGE, naru, openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

scenario(
  "an image that a rule blocks is not run, built from or composed, until the rule changes",
  async () => {
    const roots = world.roots("trust");
    mkdirSync(roots.base, { recursive: true });
    const path = `${roots.base}/trust.json`;
    const policy = (rules: unknown): void => writeFileSync(path, JSON.stringify({ rules }));
    policy({});
    const daemon = await world.start(roots, { flags: ["--trust-policy", path] });
    await daemon.loadImage();
    const cli = (...args: string[]) =>
      world.isolation.exec([...naru, "--host", `unix://${roots.socketPath}`, ...args]);
    expect(await daemon.dockerOk("run", "--rm", IMAGE, "echo", "in")).toBe("in");

    await daemon.dockerOk("create", "--name", "before", IMAGE, "true");
    await daemon.dockerOk("run", "-d", "--name", "runs", IMAGE, "sleep", "1000");

    policy({ "docker.io/daemon": { action: "block", reason: "recalled" } });
    const refused = await daemon.docker("run", "--rm", IMAGE, "echo", "in");
    expect(refused.code).toBe(125);
    const words = `image "${IMAGE.replace(":latest", "")}" is blocked by the rule "docker.io/daemon" of the trust policy "${path}" (recalled)`;
    expect(refused.stderr).toContain(words);
    expect((await daemon.docker("pull", IMAGE)).stderr).toContain("is blocked by the rule");
    // Its id is no way round.
    const id = await daemon.dockerOk("image", "inspect", "-f", "{{.Id}}", IMAGE);
    expect((await daemon.docker("create", id)).stderr).toContain("is blocked by the rule");

    // What was made before the rule: refused to whoever starts it, and a refused restart stops nothing.
    expect((await daemon.docker("start", "before")).stderr).toContain(words);
    expect((await daemon.docker("restart", "-t", "0", "runs")).stderr).toContain(words);
    expect(await daemon.dockerOk("inspect", "-f", "{{.State.Status}}", "runs")).toBe("running");

    const context = `${roots.base}/context`;
    mkdirSync(context);
    writeFileSync(`${context}/Dockerfile`, `FROM ${IMAGE}\nRUN true\n`);
    writeFileSync(
      `${context}/compose.yaml`,
      `services: { a: { image: "${IMAGE}", command: ["true"] } }\n`,
    );
    const built = await cli("build", "-t", "made/here", context);
    expect(built.code).not.toBe(0);
    expect(built.stderr + built.stdout).toContain("is blocked by the rule");
    const composed = await cli("compose", "-f", `${context}/compose.yaml`, "up", "-d");
    expect(composed.code).not.toBe(0);
    expect(composed.stderr).toContain("is blocked by the rule");
    const checked = await cli("trust", "check", IMAGE);
    expect(checked.code).toBe(1);
    expect(checked.stdout).toContain(`rule "docker.io/daemon" of ${path}: block (recalled)`);
    expect((await cli("trust", "show")).stdout).toMatch(/docker.io\/daemon +block +recalled/);

    writeFileSync(path, '{ "rulse": {} }');
    const broken = await daemon.docker("run", "--rm", IMAGE, "true");
    expect(broken.stderr).toContain('unknown key "rulse" (known: rules)');

    policy({});
    expect(await daemon.dockerOk("run", "--rm", IMAGE, "echo", "in")).toBe("in");
    await daemon.dockerOk("start", "-a", "before");
    await daemon.dockerOk("rm", "-f", "before", "runs");
    expect((await cli("compose", "-f", `${context}/compose.yaml`, "down")).code).toBe(0);
  },
);

nothingIsLeft();
