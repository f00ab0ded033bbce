/** `--host-dns`: names of containers for the host's own programs, kept up to date. Off unless asked for. */
import type { DaemonConfig } from "#daemon/config.ts";
import { containersOf } from "#daemon/door-containers.ts";
import type { Rooms } from "#daemon/rooms.ts";
import { DOOR_DOMAIN } from "#door/door.ts";
import { hostNamesOf } from "#door/routes.ts";
import type { Logger } from "#lib/log.ts";

type HostNameRooms = Pick<Rooms, "containers" | "events" | "network">;

/** Changes that come close to each other are told together. */
const SETTLE_MS = 20;
/** An address that could not be had is tried again. */
const RETRY_MS = 5000;

/** The returned function ends it; the process beside the daemon goes on answering what it knows. */
export const startHostNames = (
  { hostDns: listen, frontDoor }: DaemonConfig,
  rooms: HostNameRooms,
  log: Logger,
): (() => void) => {
  if (listen === undefined) return () => undefined;
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let told = "";
  let problem = "";
  const tell = async (): Promise<void> => {
    timer = undefined;
    const names = hostNamesOf(containersOf(rooms), frontDoor !== undefined);
    const text = JSON.stringify(names);
    if (text === told) return;
    try {
      await rooms.network.setHostNames({ listen, domain: DOOR_DOMAIN, names });
      told = text;
      problem = "";
    } catch (error) {
      if (stop.signal.aborted) return;
      if (String(error) !== problem) {
        const place = `${listen.address}:${listen.port}`;
        log.error(
          `names for this machine are not answered at ${place}: free the port, or choose another by --host-dns`,
          { error: String(error) },
        );
      }
      problem = String(error);
      later(RETRY_MS);
    }
  };
  const later = (delayMs: number): void => {
    timer ??= setTimeout(() => void tell(), delayMs).unref();
  };
  const follow = async (): Promise<void> => {
    for await (const event of rooms.events.stream({ signal: stop.signal })) {
      if (event.Type === "container" || event.Type === "network") later(SETTLE_MS);
    }
  };
  follow().catch((error: unknown) => {
    if (!stop.signal.aborted)
      log.error("names for this machine stand still", { error: String(error) });
  });
  later(0);
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
};
