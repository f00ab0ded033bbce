/** `--host-dns`: the machine's own programs find containers by name. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";

import { until } from "../harness/process.ts";
import { openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const ADDRESS = "127.0.0.153";

/** What getent(1) finds with this resolv.conf, in a mount namespace of its own: nobody else's is touched. */
const getent = async (resolvConf: string, name: string): Promise<string> => {
  const script = `mount --bind ${resolvConf} "$(readlink -f /etc/resolv.conf)" && getent ahosts ${name} | awk '{print $1}' | sort -u`;
  const argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", script];
  return (await world.isolation.exec(argv)).stdout.trim();
};

scenario("names of containers, while these come and go and the daemon is away", async () => {
  const roots = world.roots("names");
  const flags = ["--host-dns", `${ADDRESS}:53`];
  let daemon = await world.start(roots, { flags });
  await daemon.loadImage();
  const labels = ["project=shop", "service=db"].flatMap((label) => [
    "--label",
    `com.docker.compose.${label}`,
  ]);
  await daemon.up("shop-db-1", labels, "sleep", "600");
  const ip = await daemon.dockerOk("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "shop-db-1");
  const resolvConf = `${roots.base}/resolv.conf`;
  writeFileSync(resolvConf, `nameserver ${ADDRESS}\n`);
  const find = (name: string): Promise<string> => getent(resolvConf, `${name}.naru.localhost`);
  await until("the name", async () => (await find("db.shop")) === ip);
  expect(await find("shop-db-1")).toBe(ip);
  expect(await find("db.shop.ip")).toBe(ip);
  expect(await find("nobody.shop")).toBe("");
  await daemon.end("SIGKILL");
  expect(await find("db.shop")).toBe(ip);
  daemon = await world.start(roots, {
    flags: [...flags, "--front-door", "--front-door-http", "8083", "--front-door-https", "off"],
  });
  await until("the loopback", async () => (await find("db.shop")).includes("127.0.0.1"));
  expect(await find("db.shop.ip")).toBe(ip);
  await daemon.dockerOk("rm", "-f", "shop-db-1");
  await until("its end", async () => (await find("db.shop.ip")) === "");
  const wrong = await world.fails(world.roots("wrong"), { flags: ["--host-dns", "192.0.2.1:53"] });
  expect(wrong.stderr).toContain("must be a loopback address");
});

nothingIsLeft();
