/** systemctl(1), and whether a process is the service's. */
import { existsSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";

export const SERVICE_UNIT = "naru.service";
export const SOCKET_UNIT = "naru.socket";

/** sd_booted(3) */
export const isBootedBySystemd = (): boolean => existsSync("/run/systemd/system");

/** Its output. Throws internal with what it said when it fails. */
export const systemctl = (...args: string[]): string => {
  if (!isBootedBySystemd()) {
    throw new NaruError(
      "failed_precondition",
      "this machine does not run systemd: start 'naru daemon' with your own service manager",
    );
  }
  const { exitCode, stderr, stdout } = Bun.spawnSync(["systemctl", ...args]);
  if (exitCode === 0) return stdout.toString();
  throw new NaruError("internal", `systemctl ${args.join(" ")}: ${stderr.toString().trim()}`);
};

/** Stops the service when `pid` is its main process. False: systemd has nothing to do with it. */
export const stopService = (pid: number): boolean => {
  if (!isBootedBySystemd()) return false;
  const mainPid = systemctl("show", "--property=MainPID", "--value", SERVICE_UNIT).trim();
  if (mainPid !== String(pid)) return false;
  // The socket too: the next client would start the service again.
  systemctl("stop", SOCKET_UNIT, SERVICE_UNIT);
  return true;
};
