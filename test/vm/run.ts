/** `npm run test:vm`: naru on a pure cgroup v2 host, in a virtual machine. See README.md beside this. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";

import { provideBase } from "./base.ts";
import type { Report } from "./guest/report.ts";
import { runMachine } from "./machine.ts";
import { makePayload, makeQuotaDisk } from "./payload.ts";
import { missingRequirements } from "./requirements.ts";

const CACHE = process.env["NARU_VM_CACHE"] ?? "/var/tmp/naru-vm";
/** Software emulation unless told otherwise: it runs everywhere, also inside virtual machines. */
const ACCELERATOR = process.env["NARU_VM_ACCEL"] ?? "tcg";
const TIMEOUT_MS = 1_200_000;
const CONSOLE_LINES = 60;

const say = (line: string): void => console.log(`# ${line}`);
const secondsSince = (began: number): string =>
  `${((performance.now() - began) / 1000).toFixed(1)} s`;

const parseReport = (line: string): Report | undefined => {
  try {
    return JSON.parse(line) as Report;
  } catch {
    console.log(line);
    return undefined;
  }
};

interface Tally {
  passed: number;
  failed: number;
  isComplete: boolean;
}

const hear = (tally: Tally, line: string): void => {
  const report = parseReport(line);
  if (report === undefined) return;
  switch (report.kind) {
    case "note":
      say(report.text);
      break;
    case "check":
      tally[report.error === undefined ? "passed" : "failed"] += 1;
      console.log(
        `${report.error === undefined ? "ok  " : "FAIL"} ${report.name} (${report.ms} ms)${report.figures === "" ? "" : `: ${report.figures}`}`,
      );
      if (report.error !== undefined) console.log(report.error.replaceAll(/^/gm, "     "));
      break;
    case "end":
      tally.isComplete = true;
  }
};

const main = async (): Promise<number> => {
  const missing = missingRequirements();
  if (missing.length > 0) {
    console.error(`test:vm cannot run:\n  ${missing.join("\n  ")}`);
    return 1;
  }
  const began = performance.now();
  mkdirSync(CACHE, { recursive: true });
  const base = await provideBase(CACHE, say);
  const folder = mkdtempSync(`${CACHE}/run-`);
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.on("exit", remove);
  const tally: Tally = { passed: 0, failed: 0, isComplete: false };
  const consolePath = `${folder}/console`;
  const payloadDisk = await makePayload(folder, process.argv[2] ?? "", say);
  const started = performance.now();
  const end = await runMachine({
    base,
    payloadDisk,
    quotaDisk: await makeQuotaDisk(folder),
    accelerator: ACCELERATOR,
    consolePath,
    timeoutMs: TIMEOUT_MS,
    onLine: (line) => hear(tally, line),
  });
  say(`the machine ran ${secondsSince(started)}, all took ${secondsSince(began)}`);
  if (!tally.isComplete) {
    tally.failed += 1;
    const why = end.isTimedOut ? `did not end within ${TIMEOUT_MS / 1000} s` : "ended early";
    console.log(`FAIL the machine ${why} (exit ${end.code}) ${end.complaint}`);
  }
  if (tally.failed > 0) {
    const lines = readFileSync(consolePath, "utf8").trimEnd().split("\n").slice(-CONSOLE_LINES);
    console.log(`# the machine's console:\n${lines.join("\n").replaceAll(/^/gm, "  | ")}`);
  }
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
};

// Exit handlers (the machine, the folder) run for signals too.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(1));
}
process.exit(await main());
