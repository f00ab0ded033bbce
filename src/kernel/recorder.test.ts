import { expect, test } from "bun:test";
import { NaruError } from "#lib/errors.ts";
import { createKernelRecorder } from "#kernel/recorder.fake.ts";

test("calls are told as text and mounts remembered", () => {
  const kernel = createKernelRecorder();
  kernel.mount("overlay", "/a b", "overlay", ["nodev", "nosuid"], "lowerdir=/x");
  kernel.mount("/s", "/t", "", ["bind"]);
  kernel.mount("", "/t", "", ["remount", "bind", "ro"]);
  expect(kernel.mountsUnder("/t")).toEqual(["/t"]);
  kernel.unmount("/t");
  kernel.setXattr("/f", "user.x", new Uint8Array(3));
  expect(kernel.mounts).toEqual(["/a b"]);
  expect(kernel.calls).toEqual([
    'mount overlay "/a b" overlay nodev,nosuid lowerdir=/x',
    'mount /s /t "" bind',
    'mount "" /t "" remount,bind,ro',
    "mountsUnder /t",
    "unmount /t",
    "setXattr /f user.x <3 bytes>",
  ]);
});

test("the n-th call and the next call of a method fail once", () => {
  const kernel = createKernelRecorder();
  kernel.failOn(2, new NaruError("resource_exhausted", "full"));
  kernel.failNext("pipe", new NaruError("internal", "no pipe"));
  const fd = kernel.openInRoot("/", "x", 0);
  expect(() => kernel.mkdirAt(fd, "d", 0o755)).toThrow("full");
  expect(() => kernel.pipe()).toThrow("no pipe");
  kernel.pipe();
  expect(kernel.openFds.size).toBe(3);
  kernel.answer("readDir", () => ["one"]);
  expect(kernel.readDir(fd)).toEqual(["one"]);
});

test("processes run until ended, and waits can fail", async () => {
  const kernel = createKernelRecorder();
  kernel.runningPids.add(7);
  const wait = kernel.waitForEnd(7);
  expect(kernel.kill(7, 15)).toBe(true);
  kernel.endProcess(7);
  await wait;
  expect(kernel.kill(7, 0)).toBe(false);
  kernel.failNext("waitForEnd", new Error("no pidfd"));
  expect(kernel.waitForEnd(7)).rejects.toThrow("no pidfd");
});

test("namespaces exist between making and removing", () => {
  const kernel = createKernelRecorder();
  kernel.createNetns("/n");
  expect(() => kernel.createNetns("/n")).toThrow("exists already");
  expect(kernel.inNetns("/n", () => 5)).toBe(5);
  kernel.removeNetns("/n");
  expect(() => kernel.inNetns("/n", () => 5)).toThrow("does not exist");
});
