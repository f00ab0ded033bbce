/**
 * A registry of two images (crash/image:1, and crash/image:big) in a process of its own, so that it can stand in an
 * engine's network namespace. Prints its host, then a line for each request.
 */
import { startRegistry } from "#remote/registry.fake.ts";

import { BUSYBOX_CONFIG, busyboxRoot } from "./images.ts";
import { writeTar } from "./tar.ts";

const registry = startRegistry();
const tars = [
  writeTar(await busyboxRoot()),
  writeTar([{ name: "pulled", body: Buffer.alloc(4 << 20, 1) }]),
];
const layers = tars.map((tar) => ({ tar, blob: Bun.gzipSync(new Uint8Array(tar), { level: 1 }) }));
registry.addImage("1", layers, { config: BUSYBOX_CONFIG });
const big = writeTar([{ name: "big", body: Buffer.alloc(100 << 20, 2) }]);
registry.addImage("big", [{ tar: big, blob: Bun.gzipSync(new Uint8Array(big), { level: 1 }) }]);
registry.log.push = (...lines) => {
  process.stdout.write(`${lines.join("\n")}\n`);
  return 0;
};
process.stdout.write(`${registry.host}\n`);
