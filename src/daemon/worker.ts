/** `naru _worker ROOM …`: child processes of the daemon for what would keep its thread busy. */

export const runWorker = async (argv: readonly string[]): Promise<number> => {
  // Workers do much of one thing, or stay: code is compiled as soon as it is hot (scripts/build.ts).
  Bun.unsafe.setJITPolicy(1);
  const [room, ...rest] = argv;
  if (room === "snapshot") {
    const { runSnapshotWorker } = await import("#snapshot/worker.ts");
    return runSnapshotWorker(rest);
  }
  if (room === "image") {
    const { runImageWorker } = await import("#image/worker.ts");
    const { createKernel } = await import("#kernel/real.ts");
    const { inflateKernel } = await import("#kernel/inflate.ts");
    const { workerCommand } = await import("#daemon/worker-command.ts");
    const kernel = { ...createKernel(), ...inflateKernel };
    return runImageWorker(rest, kernel, [...workerCommand(), "image"]);
  }
  if (room === "build") {
    const { runBuildWorkerProcess } = await import("#build/worker.ts");
    const { createKernel } = await import("#kernel/real.ts");
    return runBuildWorkerProcess(rest, createKernel());
  }
  if (room === "network") {
    const { runNetworkProcess } = await import("#daemon/companions.ts");
    return runNetworkProcess(rest);
  }
  if (room === "front-door") {
    const { runDoorProcess } = await import("#daemon/companions.ts");
    return runDoorProcess(rest);
  }
  throw new RangeError(`no worker "${room}"`);
};
