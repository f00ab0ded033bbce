/**
 * The front door's manual: `http(s)://SERVICE.PROJECT.naru.localhost` leads to a container by its labels. A *route* is a
 * host name and a path with the *targets* that serve it, the containers of one service.
 *
 * Names of a container: `SERVICE.PROJECT.naru.localhost` by compose's labels, `NAME.naru.localhost` always, and what it
 * asks for itself. Own labels:
 *
 *   naru.http         "false": not by the front door
 *   naru.http.port    where it serves; otherwise the usual one of its ports
 *   naru.http.host    further names, with commas between; any name, not only of naru.localhost
 *   naru.http.path    only what is below this path; the longest that fits wins
 *
 * Life: the process stands beside the daemon (see the room `companion`) and is told the whole table at each change; no
 * connection ends for it. The certificate authority is made once, by the process, when TLS is first wanted.
 */

/** All names of the front door end so. */
export const DOOR_DOMAIN = "naru.localhost";

export type TargetState = "ready" | "waiting" | "down";

/** One container behind a route. */
export interface DoorTarget {
  readonly name: string;
  readonly state: TargetState;
  /** Why it is not ready: "exited (1)", "its health check fails". */
  readonly reason?: string;
  readonly ip?: string;
  readonly port?: number;
}

export interface DoorRoute {
  /** Lower case, without port. */
  readonly host: string;
  /** "/" or "/api": begins with a slash, ends without (but for the root). */
  readonly path: string;
  /** For pages: 'service "web" of project "shop"'. */
  readonly what: string;
  readonly targets: readonly DoorTarget[];
}

/** Where to listen: 127.0.0.1 and ::1 unless an address is named. */
export interface DoorListen {
  readonly addresses: readonly string[];
  readonly port: number;
}

export interface DoorConfig {
  readonly http: DoorListen | undefined;
  readonly https: DoorListen | undefined;
  /** Holds ca.pem and ca.key (0600). */
  readonly directory: string;
}

export interface DoorStatus {
  readonly listening: readonly string[];
  /** One a port that could not be had: what, why, what to do. */
  readonly problems: readonly string[];
}

export type DoorTask =
  | { readonly kind: "configure"; readonly config: DoorConfig }
  | { readonly kind: "routes"; readonly routes: readonly DoorRoute[] }
  | { readonly kind: "status" };
