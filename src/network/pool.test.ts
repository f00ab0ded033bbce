import { expect, test } from "bun:test";
import { sleep } from "#lib/clock.ts";
import { FirewallWriter } from "#network/firewall-writer.ts";
import {
  renderAdd,
  renderDelete,
  renderNetwork,
  renderNetworkRemoval,
  renderReplace,
  renderTable,
} from "#network/firewall.ts";
import { findHindrances } from "#network/diagnose.ts";
import { SandboxPool } from "#network/sandbox-pool.ts";

/** Polls: a busy machine takes its time. */
const until = async (isSo: () => boolean): Promise<void> => {
  for (let tries = 0; !isSo() && tries < 2000; tries += 1) await sleep(1);
};

test("the pool fills by itself, hands each out once, and grows with demand", async () => {
  let made = 0;
  const discarded: number[] = [];
  const pool = new SandboxPool<number>({
    make: () => (made += 1),
    discard: (item) => discarded.push(item),
    onError: () => undefined,
  });
  expect(pool.take()).toBe(1); // empty: made to order
  pool.open();
  await until(() => pool.size === 2);
  expect(pool.size).toBe(2);
  const taken = new Set(Array.from({ length: 10 }, () => pool.take()));
  expect(taken.size).toBe(10);
  await until(() => pool.size >= 10);
  expect(pool.size).toBeGreaterThanOrEqual(10);
  const { size } = pool;
  pool.close();
  expect(discarded).toHaveLength(size);
  expect(pool.size).toBe(0);
});

test("a pool that cannot fill asks again at the next take", async () => {
  const errors: unknown[] = [];
  let isBroken = true;
  const pool = new SandboxPool<number>({
    make: () => {
      if (isBroken) throw new Error("no");
      return 1;
    },
    discard: () => undefined,
    onError: (error) => errors.push(error),
  });
  pool.open();
  await until(() => errors.length === 1);
  expect(errors).toHaveLength(1);
  expect(() => pool.take()).toThrow("no");
  isBroken = false;
  expect(pool.take()).toBe(1);
  await until(() => pool.size > 0);
  expect(pool.size).toBeGreaterThan(0);
  pool.close();
});

test("firewall changes of one moment go together, in order", async () => {
  const applied: string[] = [];
  const writer = new FirewallWriter(async (text) => {
    await sleep(1);
    if (text.includes("bad")) throw new Error("refused");
    applied.push(text);
  });
  const first = writer.write("a\n");
  const second = writer.write("b\n");
  await Promise.all([first, second]);
  expect(applied).toEqual(["a\nb\n"]);
  const results = await Promise.allSettled(
    ["c\n", "bad\n", "d\n"].map((text) => writer.write(text)),
  );
  expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(applied.slice(1)).toEqual(["c\n", "d\n"]);
  await writer.idle();
});

test("published ports are map elements, by host address or for all of them", () => {
  const forwards = [
    { hostIp: "0.0.0.0", hostPort: 80, protocol: "tcp", ip: "172.17.0.2", port: 8080 },
    { hostIp: "127.0.0.1", hostPort: 53, protocol: "udp", ip: "172.17.0.3", port: 53 },
  ] as const;
  expect(renderAdd("t", forwards)).toBe(
    "add element ip t published_at { 127.0.0.1 . udp . 53 : 172.17.0.3 . 53 }\n" +
      "add element ip t published_any { tcp . 80 : 172.17.0.2 . 8080 }\n",
  );
  expect(renderDelete("t", forwards)).toBe(
    "delete element ip t published_at { 127.0.0.1 . udp . 53 }\n" +
      "delete element ip t published_any { tcp . 80 }\n",
  );
  expect(renderReplace("t", [])).toBe(
    "flush map ip t published_at\nflush map ip t published_any\nflush set ip t open\n",
  );
  expect(renderTable("t", [{ linkName: "nr0", subnet: "10.0.0.0/24" }])).toMatchSnapshot();
  const inner = { linkName: "nr1", subnet: "10.1.0.0/24", isInternal: true };
  expect(renderNetwork("t", inner)).toBe(
    'add element ip t bridges { "nr1" }\n' +
      'add element ip t internal { "nr1" }\n' +
      'add element ip t neighbours { "nr1" . "nr1" }\n' +
      'add element ip t home { "nr1" . 10.1.0.0/24 }\n',
  );
  expect(renderNetworkRemoval("t", { ...inner, isInternal: false })).toEndWith(
    "delete element ip t masqueraded { 10.1.0.0/24 }\n",
  );
});

test("what hinders containers on this host is found", () => {
  const own = { family: "ip", table: "naru_1", name: "forward", hook: "forward", policy: "accept" };
  const state = { linkName: "nr1", table: "naru_1", hasBridge: true, isForwarding: true };
  expect(findHindrances({ ...state, chains: [own] })).toEqual([]);
  const docker = {
    family: "ip",
    table: "filter",
    name: "FORWARD",
    hook: "forward",
    policy: "drop",
  };
  const found = findHindrances({
    ...state,
    isForwarding: false,
    hasBridge: false,
    chains: [docker],
  });
  expect(found.map((finding) => finding.subject)).toEqual([
    "nr1",
    "net.ipv4.ip_forward",
    "naru_1",
    "ip filter FORWARD",
  ]);
  expect(found.at(-1)?.remedy).toContain("iptables -I FORWARD -i nr1 -j ACCEPT");
});
