/**
 * Who a client is, and what it may do: the manual. An *identity* comes from the Authorization field of a request;
 * rules say what an identity may do with which repositories. Anonymous is an identity like others.
 */

/** "admin": collection, retention, metrics. "catalog": the list of all repositories. */
export type Action = "pull" | "push" | "delete" | "catalog" | "admin";

export interface Identity {
  /** "" is anonymous. */
  readonly name: string;
  /** Set when a token says by itself what it is good for; rules are not asked then. */
  readonly granted?: readonly Grant[];
}

export interface Grant {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

export const ANONYMOUS: Identity = { name: "" };

export interface Wanted {
  readonly action: Action;
  /** "" where no repository is concerned. */
  readonly repository: string;
}

export interface Access {
  /**
   * `authorization` is the field as received. Throws UNAUTHORIZED for credentials that are wrong; who gives none is
   * anonymous. Synchronous where nothing has to be computed.
   */
  identify(authorization: string | undefined, host: string): Identity | Promise<Identity>;
  mayDo(identity: Identity, wanted: Wanted): boolean;
  /** GET /v2/ asks even those to log in who may pull without: Docker's clients learn there how tokens are had. */
  readonly mustIdentify: boolean;
  /** undefined: there is no way to log in, so what is not allowed is DENIED rather than UNAUTHORIZED. */
  readonly challenge: ((wanted: readonly Wanted[], host: string) => string) | undefined;
}

/** Everybody may do everything: a registry on loopback, without a configuration. */
export const OPEN_ACCESS: Access = {
  identify: () => ANONYMOUS,
  mayDo: () => true,
  mustIdentify: false,
  challenge: undefined,
};
