/** naru's own part of the API: GET /naru/front-door. */
export interface DoorResponse {
  /** "http://127.0.0.1:80" */
  Listening: string[];
  /** Ports that could not be had, and what to do. */
  Problems: string[];
  /** The local authority's certificate (PEM); "" without HTTPS. */
  Authority: string;
  Routes: DoorRouteResponse[];
}

export interface DoorRouteResponse {
  Host: string;
  Path: string;
  /** 'service "web" of project "shop"' */
  What: string;
  Targets: {
    Container: string;
    State: "ready" | "waiting" | "down";
    /** Why it is not ready. */
    Reason: string;
    /** "172.18.0.2:8080"; "" when it has none. */
    Address: string;
  }[];
}
