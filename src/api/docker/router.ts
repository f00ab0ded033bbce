/**
 * Finds the route of a request: exact paths by one map look-up, patterns by their method and first
 * word, in the order of the table.
 */
import type { Route } from "#api/docker/route.ts";

interface CompiledRoute {
  readonly route: Route;
  readonly expression: RegExp;
}

export interface RouteMatch {
  readonly route: Route;
  readonly parameters: readonly string[];
}

export type Router = (method: string, path: string) => RouteMatch | undefined;

const NONE: readonly string[] = [];

const compile = (pattern: string): RegExp => {
  const source = pattern
    .split(/(\{[a-z]+…?\})/)
    .map((part) => {
      if (!part.startsWith("{")) return part.replaceAll(/[.*+?^$()|[\]\\]/g, String.raw`\$&`);
      // Names may be written with their leading slash, and images looked for as containers.
      return part.includes("…") ? "/?(.+)" : "/?([^/]+)";
    })
    .join("");
  return new RegExp(`^${source}$`);
};

/** "GET containers" of "/containers/abc/json"; a pattern without a first word goes to "GET *". */
const bucketOf = (method: string, path: string): string => {
  if (path.startsWith("/{")) return `${method} *`;
  const end = path.indexOf("/", 1);
  return `${method} ${end < 0 ? path.slice(1) : path.slice(1, end)}`;
};

/** The path as clients mean it: `%2F` and the like are undone before matching, as Docker does. */
const decodePath = (path: string): string => {
  if (!path.includes("%")) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

export const createRouter = (routes: readonly Route[]): Router => {
  const exact = new Map<string, RouteMatch>();
  const buckets = new Map<string, CompiledRoute[]>();
  for (const route of routes) {
    if (!route.pattern.includes("{")) {
      exact.set(`${route.method} ${route.pattern}`, { route, parameters: NONE });
      continue;
    }
    const key = bucketOf(route.method, route.pattern);
    const bucket = buckets.get(key) ?? [];
    bucket.push({ route, expression: compile(route.pattern) });
    buckets.set(key, bucket);
  }
  return (method, rawPath) => {
    const path = decodePath(rawPath);
    const whole = exact.get(`${method} ${path}`);
    if (whole !== undefined) return whole;
    for (const key of [bucketOf(method, path), `${method} *`]) {
      for (const { route, expression } of buckets.get(key) ?? []) {
        const match = expression.exec(path);
        if (match !== null) return { route, parameters: match.slice(1) };
      }
    }
    return undefined;
  };
};
