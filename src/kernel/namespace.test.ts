import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
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

test("what is mounted in a new mount namespace is seen there alone", () => {
  const point = `${root}/point`;
  mkdirSync(point);
  const before = readlinkSync("/proc/thread-self/ns/mnt");
  const directory = process.cwd();
  const child = kernel.inNewMountNamespace(() => {
    kernel.mount("naru-test", point, "tmpfs", []);
    writeFileSync(`${point}/inside`, "");
    return Bun.spawn(["sleep", "60"]);
  });
  try {
    expect(readlinkSync("/proc/thread-self/ns/mnt")).toBe(before);
    expect(process.cwd()).toBe(directory);
    expect(existsSync(`${point}/inside`)).toBe(false);
    expect(kernel.mountsUnder(point)).toEqual([]);
    expect(existsSync(`/proc/${child.pid}/root${point}/inside`)).toBe(true);
    expect(kernel.inMountNamespaceOf(child.pid, () => existsSync(`${point}/inside`))).toBe(true);
    expect(() =>
      kernel.inMountNamespaceOf(child.pid, () => {
        throw new Error("in there");
      }),
    ).toThrow("in there");
    expect(readlinkSync("/proc/thread-self/ns/mnt")).toBe(before);
    expect(process.cwd()).toBe(directory);
  } finally {
    child.kill("SIGKILL");
  }
  const fail = (): never => {
    throw new Error("inside");
  };
  expect(() => kernel.inNewMountNamespace(fail)).toThrow("inside");
  expect(() => kernel.inNewMountNamespace(() => Promise.resolve())).toThrow("must not wait");
  expect(() => kernel.inMountNamespaceOf(0, () => 1)).toThrow("ENOENT");
  expect(readlinkSync("/proc/thread-self/ns/mnt")).toBe(before);
});

test("a process takes a namespace over: the path leads there still, and no longer than it lives", async () => {
  const path = `${root}/d`;
  kernel.createNetns(path);
  const [name, child] = kernel.inNetns(path, () => [own(), Bun.spawn(["sleep", "60"])]);
  kernel.handNetnsOver(path, child.pid);
  expect(kernel.inNetns(path, own)).toBe(name);
  child.kill("SIGKILL");
  await child.exited;
  expect(existsSync(path)).toBe(false);
  kernel.removeNetns(path);
  expect(readdirSync(root)).not.toContain("d");
});
