/** The name servers of the host, as its resolv.conf(5) says now. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { monotonicMs } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";
import { FALLBACK_SERVERS, RESOLV_CONF_PATHS, parseResolvConf } from "#network/files.ts";

const RECHECK_MS = 1000;

export class HostServers {
  readonly #logger: Logger;
  #servers: readonly string[] = [];
  #checkedMs = Number.NEGATIVE_INFINITY;
  #fileVersion = "";
  /** Our own address, should the host ask us first: we do not ask ourselves. */
  own = "";

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Looked at once a second at most. */
  list(): readonly string[] {
    return this.#read().filter((server) => server !== this.own);
  }

  #read(): readonly string[] {
    const nowMs = monotonicMs();
    if (nowMs - this.#checkedMs < RECHECK_MS) return this.#servers;
    this.#checkedMs = nowMs;
    const [path] = RESOLV_CONF_PATHS;
    const file = statSync(path, { throwIfNoEntry: false });
    const version = file === undefined ? "none" : `${file.ino} ${file.mtimeMs} ${file.size}`;
    if (version === this.#fileVersion) return this.#servers;
    this.#fileVersion = version;
    const { servers } = parseResolvConf(existsSync(path) ? readFileSync(path, "utf8") : "");
    this.#servers = servers.length > 0 ? servers : FALLBACK_SERVERS;
    this.#logger.debug("name servers of the host", { servers: this.#servers });
    return this.#servers;
  }
}
