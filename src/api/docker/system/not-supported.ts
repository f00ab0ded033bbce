/**
 * What naru does not do, refused by name: Swarm for good, plugins, checkpoints.
 * A client learns from the status which of its own fallbacks to take.
 */
import type { Call } from "#api/docker/call.ts";
import { del, get, type Handler, options, post, type Route } from "#api/docker/route.ts";
import { NaruError } from "#lib/errors.ts";

const missing =
  (what: string): Handler =>
  () => {
    throw new NaruError("not_implemented", what);
  };

const NO_SWARM =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
const noSwarm: Handler = () => {
  throw new NaruError("unavailable", NO_SWARM);
};

const SWARM_ROUTES: readonly Route[] = [
  "swarm",
  "nodes",
  "services",
  "tasks",
  "secrets",
  "configs",
].flatMap((noun) => [
  get(`/${noun}`, noSwarm),
  post(`/${noun}/{rest…}`, noSwarm),
  get(`/${noun}/{rest…}`, noSwarm),
  del(`/${noun}/{rest…}`, noSwarm),
]);

const noPlugins = (call: Call): void => call.json(200, []);
const plugins = missing("plugins are not supported by naru");
const checkpoints = missing("checkpoints are not supported by naru");

export const notSupportedRoutes: readonly Route[] = [
  ...SWARM_ROUTES,
  get("/plugins", noPlugins),
  get("/plugins/{rest…}", plugins),
  post("/plugins/{rest…}", plugins),
  del("/plugins/{rest…}", plugins),
  get("/containers/{id…}/checkpoints", checkpoints),
  post("/containers/{id…}/checkpoints", checkpoints),
  del("/containers/{id…}/checkpoints/{checkpoint}", checkpoints),
  options("/{rest…}", (call) => call.empty(200)),
];
