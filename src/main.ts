/** argv picks the program: daemon, worker, host commands, or (everything else) the CLI. Nothing else. */

const run = async (argv: readonly string[]): Promise<number> => {
  const [first, second] = argv;
  if (first === "daemon") {
    const { quietenRuntime } = await import("#daemon/quiet-runtime.ts");
    quietenRuntime(argv);
    const { runDaemon } = await import("#daemon/daemon.ts");
    return runDaemon(argv.slice(1));
  }
  if (first === "_worker") {
    const { runWorker } = await import("#daemon/worker.ts");
    return runWorker(argv.slice(1));
  }
  if (first === "system" && second === "reset") {
    const { runReset } = await import("#daemon/reset.ts");
    return runReset(argv.slice(2));
  }
  if (first === "service") {
    const { runService } = await import("#daemon/service-unit.ts");
    return runService(argv.slice(1));
  }
  if (first === "registry") {
    const { runRegistry } = await import("#daemon/registry/serve.ts");
    return runRegistry(argv.slice(1));
  }
  if (first === "doctor") {
    const { runDoctor } = await import("#daemon/doctor.ts");
    return runDoctor(argv.slice(1));
  }
  const { runCli } = await import("#cli/main.ts");
  // All is written by then; connections still open must not keep the process.
  process.exit(await runCli(argv));
};

process.exitCode = await run(process.argv.slice(2));

export {};
