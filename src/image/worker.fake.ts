/** The image worker as a program of its own, for tests; the real one is a verb of the binary. */
import { runImageWorker } from "#image/worker.ts";
import { inflateKernel } from "#kernel/inflate.ts";
import { createKernel } from "#kernel/real.ts";

const command = [process.execPath, import.meta.path];
const kernel = { ...createKernel(), ...inflateKernel };
process.exit(await runImageWorker(process.argv.slice(2), kernel, command));
