/**
 * `crun exec` lets the process go first and sets its terminal's size then (container.c,
 * libcrun_container_exec_with_options). Woken by that, the process often runs before crun does again, and a program
 * that asks at once is told 0 by 0: one of 50 on an idle machine, one of 7 on a busy one, measured.
 *
 * From outside nobody can set the size earlier. But crun can be made sure to go on: it runs under a policy that no
 * ordinary process interrupts, and that its children do not inherit (sched(7), SCHED_FIFO with SCHED_RESET_ON_FORK).
 */

const isAllowed = async (command: readonly string[]): Promise<boolean> => {
  try {
    const none = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const;
    return (await Bun.spawn([...command, "true"], none).exited) === 0;
  } catch {
    return false; // a host that starts no program now tells the exec itself
  }
};

const find = async (): Promise<readonly string[]> => {
  const program = Bun.which("chrt");
  if (program === null) return [];
  const command = [program, "--reset-on-fork", "--fifo", "1"];
  return (await isAllowed(command)) ? command : [];
};

/**
 * Gives what is put before a runtime's command line. Nothing where the host has no chrt(1) or does not allow it
 * (CAP_SYS_NICE, control groups without real-time): the size may come late then. Found out at the first call.
 */
export const createPrecedence = (): (() => Promise<readonly string[]>) => {
  let found: Promise<readonly string[]> | undefined;
  return () => (found ??= find());
};
