import { expect, test } from "bun:test";
import { parseDaemonConfig } from "#daemon/config.ts";
import { planReload } from "#daemon/reload.ts";

const config = (...flags: string[]) => parseDaemonConfig(flags);

test("what may change does, what may not is named", () => {
  const running = config("--label", "a=1", "--mtu", "1400");
  const next = config("--label", "b=2", "--mtu", "1300", "-D", "--log-format", "json", "--init");
  const plan = planReload(running, next);
  expect(plan.config).toEqual({
    ...running,
    labels: ["b=2"],
    logLevel: "debug",
    logFormat: "json",
  });
  expect(plan.applied.toSorted()).toEqual(["labels", "logFormat", "logLevel"]);
  expect(plan.waiting.toSorted()).toEqual(["hasInit", "mtu"]);
});

test("the same configuration changes nothing", () => {
  const plan = planReload(config("--shutdown-timeout", "3"), config("--shutdown-timeout", "3"));
  expect(plan).toMatchObject({ applied: [], waiting: [] });
});
