/** Signals of this process that are passed on to the container. */

const PROXIED = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGCONT",
] as const;

/** A process that ignores these would hold its user for ever; docker's client leaves after as many. */
const PATIENCE = 3;

/**
 * Calls `forward` with each signal's name ("INT"); returns what stops it. Whoever asks for an end
 * the third time gets one: this process leaves with exit code 1, and the container runs on.
 */
export const proxySignals = (
  forward: (name: string) => void,
  output: { write(stream: "stderr", text: string): Promise<void> },
): (() => void) => {
  let asked = 0;
  const leave = async (): Promise<void> => {
    await output.write(
      "stderr",
      "\ngot 3 SIGTERM/SIGINTs, forcefully exiting; the container runs on: end it with stop or rm -f\n",
    );
    process.exit(1);
  };
  const listeners = PROXIED.map((signal) => {
    const listener = (): void => {
      forward(signal.slice(3));
      if (signal !== "SIGINT" && signal !== "SIGTERM") return;
      asked += 1;
      if (asked === PATIENCE) void leave();
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return () => {
    for (const { signal, listener } of listeners) process.off(signal, listener);
  };
};

/** Calls `changed` whenever the terminal's size changes. */
export const onResize = (changed: () => void): (() => void) => {
  process.on("SIGWINCH", changed);
  return () => process.off("SIGWINCH", changed);
};
