import { expect, test } from "bun:test";
import { checkUpdatable } from "#container/update.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";

const SLOW = [{ Path: "/dev/sda", Rate: 1024 }];
const HOST = { BlkioDeviceReadBps: SLOW, MemorySwappiness: 60, Memory: 0 } as unknown as HostConfig;

test("what a client sends of fields that it does not mean, or as they are, is no change", () => {
  checkUpdatable(HOST, {
    Memory: 1024,
    BlkioDeviceWriteBps: [],
    BlkioDeviceReadBps: [{ Path: "/dev/sda", Rate: 1024 }],
    CgroupParent: "",
    CpuRealtimePeriod: 0,
    MemorySwappiness: null,
    OomKillDisable: false,
    Ulimits: null,
  });
});

test("a change of what stays as it was created is refused by name", () => {
  for (const request of [
    { BlkioDeviceReadBps: [{ Path: "/dev/sda", Rate: 2048 }] },
    { BlkioDeviceWriteIOps: SLOW },
    { BlkioWeightDevice: [{ Path: "/dev/sda", Weight: 100 }] },
    { CpuRealtimeRuntime: 1000 },
    { MemorySwappiness: 10 },
    { Ulimits: [{ Name: "nofile", Soft: 1, Hard: 1 }] },
  ]) {
    const [name = ""] = Object.keys(request);
    expect(() => checkUpdatable(HOST, request)).toThrow(`an update of "${name}" is not supported`);
  }
});
