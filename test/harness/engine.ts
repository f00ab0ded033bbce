/**
 * The engine under test.
 *
 * `NARU_E2E_HOST=unix://…` tests that engine as it is. Else `E2E_ENGINE` (naru, docker20,
 * docker28; default naru) says which one a keeper process starts, stops and sweeps after.
 */
export interface Engine {
  readonly kind: "naru" | "docker20" | "docker28" | "given";
  /** `unix:///…` */
  readonly host: string;
  readonly socketPath: string;
  /** Reported by the engine itself. */
  readonly version: string;
  readonly apiVersion: string;
  /** Address of the engine's host that the test process can reach. */
  readonly hostIp: string;
  /** argv in front of a command that shall run on the engine's host; empty when it is this one. */
  readonly enter: readonly string[];
  readonly dataRoot: string | undefined;
  /** Process id of the engine's main process, where known. */
  readonly pid: number | undefined;
}

/** What an engine's starter gives to the keeper. */
export interface StartedEngine {
  readonly kind: Engine["kind"];
  readonly host: string;
  readonly hostIp: string;
  readonly enter: readonly string[];
  readonly dataRoot: string;
  readonly pid: number;
  /** Milliseconds from its spawn to its first answered ping, and to the first list of containers, asked for after that. */
  readonly readyMs: number;
  readonly listMs: number;
  /** Ends the engine and its world; resolves with what was found left over (empty is good). */
  stop(): Promise<readonly string[]>;
}
