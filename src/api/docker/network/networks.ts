/** Networks: looked at for now; making and changing them is refused by name. */
import type { Call } from "#api/docker/call.ts";
import { textMatcher } from "#api/docker/filter-match.ts";
import { del, get, type Handler, post, type Route } from "#api/docker/route.ts";
import { NaruError } from "#lib/errors.ts";
import { booleanFilter, type Filters, matchesAny, matchesLabels } from "#spec/docker/filters.ts";
import type { NetworkResponse } from "#spec/docker/network.ts";

const FILTERS = ["dangling", "driver", "id", "label", "name", "scope", "type"];
const PREDEFINED = new Set(["bridge", "host", "none"]);

const isPredefined = ({ Name }: NetworkResponse): boolean => PREDEFINED.has(Name);

const isOfType = (network: NetworkResponse, type: string): boolean => {
  if (type === "builtin") return isPredefined(network);
  if (type === "custom") return !isPredefined(network);
  throw new NaruError("invalid_argument", `invalid filter: 'type'='${type}'`);
};

const isInUse = (network: NetworkResponse): boolean =>
  isPredefined(network) || Object.keys(network.Containers).length > 0;

const select = (networks: readonly NetworkResponse[], filters: Filters): NetworkResponse[] => {
  const isName = textMatcher(filters.get("name") ?? []);
  const isDangling = booleanFilter(filters, "dangling");
  return networks.filter(
    (network) =>
      (!filters.has("name") || isName(network.Name)) &&
      matchesAny(filters, "id", (value) => network.Id.startsWith(value)) &&
      matchesAny(filters, "driver", (value) => network.Driver === value) &&
      matchesAny(filters, "scope", (value) => network.Scope === value) &&
      matchesAny(filters, "type", (value) => isOfType(network, value)) &&
      (isDangling === undefined || isDangling === !isInUse(network)) &&
      matchesLabels(filters, network.Labels),
  );
};

const list = (call: Call): void => {
  const networks = select(call.backend.networks.list(), call.query.filters(FILTERS));
  // The containers of a network are told by inspect alone since 1.28.
  const shown = call.minor < 28 ? networks : networks.map((n) => ({ ...n, Containers: {} }));
  call.json(200, shown);
};

const inspect = (call: Call): void => {
  const scope = call.query.text("scope");
  const network = call.backend.networks.get(call.name);
  if (scope !== "" && scope !== network.Scope) {
    throw new NaruError("not_found", `network ${call.name} not found`);
  }
  call.json(200, network);
};

const remove = (call: Call): void => {
  const network = call.backend.networks.get(call.name);
  if (isPredefined(network)) {
    throw new NaruError(
      "permission_denied",
      `${network.Name} is a pre-defined network and cannot be removed`,
    );
  }
  throw new NaruError("not_implemented", "removing networks is not there yet");
};

const missing =
  (what: string): Handler =>
  () => {
    throw new NaruError("not_implemented", `${what} is not there yet: use the network "bridge"`);
  };

/** Every network is predefined as yet: there is nothing to prune. */
const prune = (call: Call): void => {
  call.query.filters(["until", "label", "label!"]);
  call.json(200, { NetworksDeleted: null });
};

export const networkRoutes: readonly Route[] = [
  get("/networks", list),
  get("/networks/", list),
  post("/networks/create", missing("creating networks")),
  post("/networks/prune", prune, 25),
  post("/networks/{id}/connect", missing("connecting containers to networks")),
  post("/networks/{id}/disconnect", missing("disconnecting containers from networks")),
  get("/networks/{id}", inspect),
  del("/networks/{id}", remove),
];
