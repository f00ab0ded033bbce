/** One engine's images pulled by another: `--serve-images`. */
import { expect } from "bun:test";

import { openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

scenario(
  "another machine pulls what was loaded and what was made here, and can change nothing",
  async () => {
    const giver = await world.start(world.roots("giver"), {
      flags: ["--serve-images", "127.0.0.1:0"],
    });
    const address = giver.addresses.at(-1)?.replace("http://", "") ?? "";
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    await giver.loadImage();
    await giver.up("maker", [], "sh", "-c", "echo made here > /note");
    await giver.dockerOk("wait", "maker");
    await giver.dockerOk("commit", "-c", 'LABEL by="maker"', "maker", "made/here:v1");
    const ask = async (path: string, ...more: string[]): Promise<string> => {
      const url = `http://${address}${path}`;
      return (await world.isolation.exec(["curl", "-s", "-i", ...more, url])).stdout;
    };
    expect(await ask("/v2/_catalog")).toContain('{"repositories":["daemon/busybox","made/here"]}');
    expect(await ask("/v2/made/here/tags/list")).toContain('"tags":["v1"]');

    const taker = await world.start(world.roots("taker"));
    await taker.dockerOk("pull", `${address}/made/here:v1`);
    const image = `${address}/made/here:v1`;
    expect(await taker.dockerOk("run", "--rm", image, "cat", "/note")).toBe("made here");
    const id = (docker: typeof giver, name: string) =>
      docker.dockerOk("image", "inspect", "-f", "{{.Id}} {{.Config.Labels}}", name);
    expect(await id(taker, image)).toBe(await id(giver, "made/here:v1"));
    // Again by the digest that it was pulled with.
    const digest = (
      await taker.dockerOk("image", "inspect", "-f", "{{index .RepoDigests 0}}", image)
    )
      .split("@")
      .at(-1);
    await taker.dockerOk("rmi", "-f", image);
    await taker.dockerOk("pull", `${address}/made/here@${digest}`);

    expect(await ask("/v2/made/here/manifests/v2")).toContain("MANIFEST_UNKNOWN");
    expect(await ask("/v2/nobody/tags/list")).toContain("NAME_UNKNOWN");
    for (const [method, path] of [
      ["POST", "/v2/made/here/blobs/uploads/"],
      ["PUT", "/v2/made/here/manifests/v1"],
      ["DELETE", "/v2/made/here/manifests/v1"],
    ] as const) {
      expect(await ask(path, "-X", method)).toMatch(/^HTTP\/1\.1 403 /);
    }
    // What is removed there is not to be had any more.
    await giver.dockerOk("rm", "maker");
    await giver.dockerOk("rmi", "made/here:v1");
    expect(await ask("/v2/made/here/manifests/v1")).toContain("NAME_UNKNOWN");
  },
);

nothingIsLeft();
