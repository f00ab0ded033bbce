/** Networks: list, create, inspect, remove, prune; containers join and leave them. */
import { checkFields, type Fields, TEXT_MAP } from "#api/docker/body-fields.ts";
import type { Call } from "#api/docker/call.ts";
import { ENDPOINT } from "#api/docker/container/create-decode.ts";
import { textMatcher } from "#api/docker/filter-match.ts";
import { del, get, post, type Route } from "#api/docker/route.ts";
import { NaruError } from "#lib/errors.ts";
import { booleanFilter, type Filters, matchesAny, matchesLabels } from "#spec/docker/filters.ts";
import type {
  EndpointSettings,
  NetworkCreateRequest,
  NetworkResponse,
} from "#spec/docker/network.ts";

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

const CREATE_FIELDS: Fields = {
  Name: "text",
  CheckDuplicate: "flag",
  Driver: "text",
  Scope: "text",
  EnableIPv4: "flag",
  EnableIPv6: "flag",
  Internal: "flag",
  Attachable: "flag",
  Ingress: "flag",
  ConfigOnly: "flag",
  ConfigFrom: { fields: { Network: "text" } },
  IPAM: {
    fields: {
      Driver: "text",
      Options: TEXT_MAP,
      Config: {
        list: {
          fields: {
            Subnet: "text",
            IPRange: "text",
            Gateway: "text",
            AuxiliaryAddresses: TEXT_MAP,
          },
        },
      },
    },
  },
  Options: TEXT_MAP,
  Labels: TEXT_MAP,
};

const create = async (call: Call): Promise<void> => {
  const body = checkFields((await call.readJson()) ?? {}, CREATE_FIELDS);
  if (call.minor < 48) delete body["EnableIPv4"];
  const request = { Name: "", ...body } as NetworkCreateRequest;
  const Id = await call.backend.networks.create(request);
  call.json(201, { Id, Warning: "" });
};

const remove = async (call: Call): Promise<void> => {
  await call.backend.networks.remove(call.name);
  call.empty(204);
};

const prune = async (call: Call): Promise<void> => {
  const filters = call.query.filters(["until", "label", "label!"]);
  const names = await call.backend.networks.prune(filters);
  call.json(200, { NetworksDeleted: names.length === 0 ? null : names });
};

const CONNECT_FIELDS: Fields = { Container: "text", EndpointConfig: { fields: ENDPOINT } };
const DISCONNECT_FIELDS: Fields = { Container: "text", Force: "flag" };

const containerOf = (body: Record<string, unknown>): string => {
  const container = body["Container"];
  if (typeof container === "string" && container !== "") return container;
  throw new NaruError("invalid_argument", 'invalid JSON: "Container" is missing');
};

const connect = async (call: Call): Promise<void> => {
  const body = checkFields((await call.readJson()) ?? {}, CONNECT_FIELDS);
  const settings = body["EndpointConfig"] as Partial<EndpointSettings> | undefined;
  await call.backend.containers.connect(containerOf(body), call.name, settings);
  call.empty(200);
};

const disconnect = async (call: Call): Promise<void> => {
  const body = checkFields((await call.readJson()) ?? {}, DISCONNECT_FIELDS);
  await call.backend.containers.disconnect(containerOf(body), call.name);
  call.empty(200);
};

export const networkRoutes: readonly Route[] = [
  get("/networks", list),
  get("/networks/", list),
  post("/networks/create", create),
  post("/networks/prune", prune),
  post("/networks/{id…}/connect", connect),
  post("/networks/{id…}/disconnect", disconnect),
  get("/networks/{id…}", inspect),
  del("/networks/{id…}", remove),
];
