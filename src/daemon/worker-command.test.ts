import { expect, test } from "bun:test";
import { bulkWorkerCommand, companionCommand } from "#daemon/worker-command.ts";
import { WITHOUT_COLLECTOR_TIMER } from "#lib/runtime-settings.ts";

const { name, value } = WITHOUT_COLLECTOR_TIMER;
const PRINT = `console.log(typeof process.env["${name}"], process.env["BUN_JSC_useDFGJIT"])`;

/** What such a child finds in its environment, where this process has the daemon's setting. */
const foundBy = async (command: readonly string[]): Promise<string> => {
  const upToProgram = command.slice(0, command.indexOf(process.execPath) + 1);
  const env = { PATH: "/usr/bin:/bin", [name]: value };
  const child = Bun.spawn([...upToProgram, "-e", PRINT], { env, stdout: "pipe" });
  return (await child.stdout.text()).trim();
};

test("processes beside the daemon and bulk workers have the collector's timer, which the daemon is without", async () => {
  expect(await foundBy([process.execPath])).toBe("string undefined");
  expect(await foundBy(companionCommand())).toBe("undefined undefined");
  expect(await foundBy(bulkWorkerCommand())).toBe("undefined 0");
});
