import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readlinkSync, readFileSync, rmSync } from "node:fs";
import { createKernel } from "#kernel/real.ts";

const kernel = createKernel();
const own = (): string => readlinkSync("/proc/thread-self/ns/net");
let root = "";
beforeAll(() => {
  root = mkdtempSync("/tmp/naru-netns-");
});
afterAll(() => {
  for (const point of kernel.mountsUnder(root)) kernel.unmount(point);
  rmSync(root, { recursive: true, force: true });
});

test("a namespace is made with lo up, entered, left and removed", () => {
  const home = own();
  const path = `${root}/a`;
  kernel.createNetns(path);
  expect(own()).toBe(home);
  const inside = kernel.inNetns(path, () => ({
    name: own(),
    devices: readFileSync("/proc/thread-self/net/dev", "utf8"),
    lo: readFileSync("/proc/thread-self/net/fib_trie", "utf8"),
  }));
  expect(inside.name).not.toBe(home);
  expect(inside.devices).toContain("lo:");
  expect(inside.lo).toContain("127.0.0.1");
  expect(own()).toBe(home);
  kernel.removeNetns(path);
  kernel.removeNetns(path);
  expect(existsSync(path)).toBe(false);
  expect(kernel.mountsUnder(root)).toEqual([]);
});

test("children started inside are inside", () => {
  const path = `${root}/b`;
  kernel.createNetns(path);
  const [name, child] = kernel.inNetns(path, () => [
    own(),
    Bun.spawnSync(["readlink", "/proc/self/ns/net"]).stdout.toString().trim(),
  ]);
  expect(child).toBe(name!);
  kernel.removeNetns(path);
});

test("the thread comes back after an error, a wrong file and asynchronous work", () => {
  const home = own();
  const path = `${root}/c`;
  kernel.createNetns(path);
  expect(() => kernel.createNetns(path)).toThrow("it exists already");
  expect(() =>
    kernel.inNetns(path, () => {
      throw new Error("inside");
    }),
  ).toThrow("inside");
  expect(() => kernel.inNetns("/etc/hostname", () => 1)).toThrow("EINVAL");
  expect(() => kernel.inNetns(path, () => Promise.resolve())).toThrow("must not wait");
  expect(() => kernel.inNetns(`${root}/absent`, () => 1)).toThrow("ENOENT");
  expect(own()).toBe(home);
  kernel.removeNetns(path);
});
