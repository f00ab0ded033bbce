/** What a running daemon goes by. */
import type { DaemonConfig } from "#daemon/config.ts";
import type { StderrLog } from "#daemon/log-sink.ts";
import type { Logger } from "#lib/log.ts";

/** The configuration that is in force, and how it came about. */
export interface Running {
  readonly argv: readonly string[];
  config: DaemonConfig;
  readonly stderr: StderrLog;
  readonly log: Logger;
}
