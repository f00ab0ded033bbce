/** Stands for `naru _worker snapshot` in this room's tests. */
import { runSnapshotWorker } from "#snapshot/worker.ts";

process.exit(await runSnapshotWorker(process.argv.slice(2)));
