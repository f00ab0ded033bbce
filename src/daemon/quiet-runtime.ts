/**
 * The runtime's collector comes back every second for half a minute after anything was allocated, and a daemon that was
 * asked one thing a minute would never be quiet (decision 35). It reads its setting when the process begins, so the daemon
 * begins twice, unless whoever starts it has set it already. What clears up instead: rest.ts.
 */
import { WITHOUT_COLLECTOR_TIMER } from "#lib/runtime-settings.ts";
import { replaceProgram } from "#kernel/replace-program.ts";

const { name, value } = WITHOUT_COLLECTOR_TIMER;

/** sd_listen_fds(3). */
const FIRST_PASSED = 3;

const passedSockets = (): number[] => {
  const { LISTEN_PID, LISTEN_FDS } = process.env;
  const count = Number(LISTEN_PID) === process.pid ? Number(LISTEN_FDS) || 0 : 0;
  return Array.from({ length: count }, (_, index) => FIRST_PASSED + index);
};

/** To be called first. From source it is left alone: only the whole program can begin again by its own path. */
export const quietenRuntime = (argv: readonly string[]): void => {
  if (process.env[name] !== undefined) {
    // Not for the children that are given what is here; for the others see worker-command.ts.
    delete process.env[name];
    return;
  }
  if (Bun.main.startsWith("/$bunfs/")) {
    replaceProgram([process.execPath, ...argv], { [name]: value }, passedSockets());
  }
};
