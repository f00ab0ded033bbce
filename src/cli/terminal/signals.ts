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

/** Calls `forward` with each signal's name ("INT"); returns what stops it. */
export const proxySignals = (forward: (name: string) => void): (() => void) => {
  const listeners = PROXIED.map((signal) => {
    const listener = (): void => forward(signal.slice(3));
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
