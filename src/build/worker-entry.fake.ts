/** The build worker as a program of its own, for tests that start one. */
import { runBuildWorkerProcess } from "#build/worker.ts";
import { createKernel } from "#kernel/real.ts";

process.exitCode = await runBuildWorkerProcess(process.argv.slice(2), createKernel());
