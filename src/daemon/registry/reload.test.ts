import { expect, test } from "bun:test";
import { parseRegistryConfig } from "#daemon/registry/config.ts";
import { liveView, planRegistryReload } from "#daemon/registry/reload.ts";

const running = parseRegistryConfig(["--addr", "127.0.0.1:1"]);

test("a reload takes what can change and names what waits", () => {
  const next = {
    ...running,
    addr: "127.0.0.1:2",
    maxConnections: 7,
    limits: { ...running.limits, maxPage: 3, cacheBytes: 9 },
    tls: { certPath: "c", keyPath: "k" },
  };
  const { config, applied, waiting } = planRegistryReload(running, next);
  expect(applied.toSorted()).toEqual(["limits", "maxConnections"]);
  expect(waiting.toSorted()).toEqual(["addr", "cacheBytes", "tls"]);
  expect([config.addr, config.maxConnections, config.tls]).toEqual([running.addr, 7, undefined]);
  expect(config.limits).toEqual({ ...running.limits, maxPage: 3 });
  expect(planRegistryReload(running, running)).toEqual({
    config: running,
    applied: [],
    waiting: [],
  });
});

test("a view is what there is now, and methods keep their object", () => {
  class Counter {
    readonly #step: number;
    constructor(step: number) {
      this.#step = step;
    }
    next(): number {
      return this.#step;
    }
  }
  let current = new Counter(1);
  const view = liveView(() => current);
  expect(view.next()).toBe(1);
  current = new Counter(2);
  expect(view.next()).toBe(2);
});
