/** sd_notify(3) by systemd-notify(1): a unit of Type=notify waits for READY=1. */
import { environment } from "#daemon/config.ts";

const notify = (state: string): void => {
  if (environment("NOTIFY_SOCKET") === undefined) return;
  const tool = Bun.which("systemd-notify");
  if (tool === null) return;
  Bun.spawnSync([tool, `--pid=${process.pid}`, state], { stdio: ["ignore", "ignore", "ignore"] });
};

export const notifyReady = (): void => notify("READY=1");
export const notifyStopping = (): void => notify("STOPPING=1");
