/** sd_notify(3): a unit of Type=notify waits for READY=1. Does nothing where nobody listens. */
import type { Logger } from "#lib/log.ts";
import type { SocketKernel } from "#kernel/kernel.ts";

export interface Notifier {
  ready(): void;
  reloading(): void;
  stopping(): void;
}

/** `path`: what NOTIFY_SOCKET held; undefined outside of a service manager. */
export const createNotifier = (
  kernel: Pick<SocketKernel, "sendDatagram">,
  path: string | undefined,
  log: Logger,
): Notifier => {
  const notify = (state: string): void => {
    if (path === undefined || path === "") return;
    try {
      kernel.sendDatagram(path, Buffer.from(state));
    } catch (error) {
      log.warn("could not notify the service manager", { state, error: String(error) });
    }
  };
  return {
    ready: () => notify("READY=1"),
    reloading: () => notify("RELOADING=1"),
    stopping: () => notify("STOPPING=1"),
  };
};
