import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep } from "#lib/clock.ts";
import { createLogger } from "#lib/log.ts";
import { Webhooks } from "#registry/observe/webhooks.ts";
import type { RegistryEvent } from "#registry/observer.ts";

const log = createLogger(() => undefined);
const eventOf = (repository: string): RegistryEvent => ({
  action: "push",
  kind: "tag",
  repository,
  actor: "",
  remoteAddress: "",
  method: "PUT",
  host: "",
  userAgent: "",
});
const until = async (isTrue: () => boolean): Promise<void> => {
  while (!isTrue()) await sleep(5);
};

test("what nobody took before a stop or a crash is told by the next process, in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-hooks-"));
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  const path = join(folder, "webhooks.json");
  const told: string[] = [];
  let isAway = true;
  using hook = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      if (isAway) return new Response("", { status: 503 });
      const { events } = (await request.json()) as { events: { target: { repository: string } }[] };
      told.push(...events.map(({ target }) => target.repository));
      return new Response();
    },
  });
  const target = { url: hook.url.href, headers: {}, actions: [], timeoutMs: 5000 };
  const parts = { path, log, saveMs: 5 };
  const kept = (): number =>
    existsSync(path) ? readFileSync(path, "utf8").split('"id"').length - 1 : 0;

  const first = new Webhooks([target], "http://r", parts);
  for (const name of ["a", "b", "c"]) first.event(eventOf(name));
  // Also without a stop: a crash keeps what waits.
  await until(() => kept() === 3);
  first.event(eventOf("d"));
  first.close();
  expect(kept()).toBe(4);

  isAway = false;
  const second = new Webhooks([target], "http://r", parts);
  await until(() => told.length === 4);
  await until(() => !existsSync(path));
  second.close();
  expect(told).toEqual(["a", "b", "c", "d"]);
  expect(existsSync(path)).toBe(false);
});

test("two that listen at one address for different things keep what is theirs", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-hooks-"));
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  const parts = { path: join(folder, "webhooks.json"), log, saveMs: 5 };
  // An event may come twice.
  const told = new Set<string>();
  let isAway = true;
  using hook = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      if (isAway) return new Response("", { status: 503 });
      const { events } = (await request.json()) as { events: { target: { repository: string } }[] };
      const who = request.headers.get("who") ?? "";
      for (const { target } of events) told.add(`${who} ${target.repository}`);
      return new Response();
    },
  });
  const common = { url: hook.url.href, timeoutMs: 5000 };
  const targets = [
    { ...common, headers: { who: "pushes" }, actions: ["push"] as const },
    { ...common, headers: { who: "deletions" }, actions: ["delete"] as const },
  ];
  const first = new Webhooks(targets, "http://r", parts);
  first.event(eventOf("a"));
  first.event({ ...eventOf("b"), action: "delete" });
  first.close();
  isAway = false;
  const second = new Webhooks(targets, "http://r", parts);
  await until(() => told.size === 2);
  second.close();
  expect([...told].toSorted()).toEqual(["deletions b", "pushes a"]);
});
