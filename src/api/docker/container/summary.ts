/**
 * One element of GET /containers/json. Records are immutable, so what is derived from one is kept
 * as JSON text beside it; only the image's name and the age are put in at each request.
 */
import {
  statusTemplate,
  statusText,
  type StatusTemplate,
} from "#api/docker/container/status-text.ts";
import type { ContainerRecord } from "#container/container.ts";
import { parseInstant } from "#lib/clock.ts";
import type { PortSummary } from "#spec/docker/container.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";

interface Fragment {
  readonly beforeImage: string;
  readonly image: string;
  readonly beforeStatus: string;
  readonly status: StatusTemplate;
  /** With and without HostConfig.Annotations, which lists show since API 1.46. */
  readonly rest: string;
  readonly restBefore46: string;
}

const fragments = new WeakMap<ContainerRecord, Fragment>();

/** path and args as a shell user would write them, roughly. */
const commandText = (record: ContainerRecord): string =>
  [record.path, ...record.args.map((arg) => (arg.includes(" ") ? `'${arg}'` : arg))].join(" ");

export const portSummaries = (ports: PortMap): PortSummary[] =>
  Object.entries(ports).flatMap(([key, bindings]) => {
    const [port = "", Type = "tcp"] = key.split("/");
    const PrivatePort = Number(port);
    if (bindings === null || bindings.length === 0) return [{ PrivatePort, Type }];
    return bindings.map(({ HostIp, HostPort }) => ({
      IP: HostIp,
      PrivatePort,
      PublicPort: Number(HostPort),
      Type,
    }));
  });

/** Exposed ports that are not published are listed too while the container has a network. */
const portsOf = (record: ContainerRecord): PortMap => {
  if (record.sandbox === undefined) return record.ports;
  const exposed = Object.keys(record.config.ExposedPorts ?? {});
  return { ...Object.fromEntries(exposed.map((key) => [key, null])), ...record.ports };
};

/** Aliases, links and driver options belong to inspect. */
const summaryEndpoint = (endpoint: EndpointSettings): EndpointSettings => ({
  ...endpoint,
  Links: null,
  Aliases: null,
  DriverOpts: null,
  DNSNames: null,
});

const build = (record: ContainerRecord): Fragment => {
  const { config, hostConfig, state } = record;
  const networks = Object.fromEntries(
    Object.entries(record.endpoints).map(([name, value]) => [name, summaryEndpoint(value)]),
  );
  const middle = {
    ImageID: record.imageId,
    Command: commandText(record),
    Created: Number(parseInstant(record.createdAt) / 1_000_000_000n),
    Ports: portSummaries(portsOf(record)),
    Labels: config.Labels,
    State: state.status,
  };
  const tail = { NetworkSettings: { Networks: networks }, Mounts: record.mounts };
  const { NetworkMode, Annotations } = hostConfig;
  const host = (annotations: object): string =>
    `,"HostConfig":${JSON.stringify({ NetworkMode, ...annotations })},${JSON.stringify(tail).slice(1, -1)}`;
  const restBefore46 = host({});
  return {
    beforeImage: `{"Id":"${record.id}","Names":${JSON.stringify([`/${record.name}`])},"Image":`,
    image: JSON.stringify(config.Image),
    beforeStatus: `,${JSON.stringify(middle).slice(1, -1)},"Status":"`,
    status: statusTemplate(state),
    rest: Annotations === undefined ? restBefore46 : host({ Annotations }),
    restBefore46,
  };
};

export interface SummaryOptions {
  readonly minor: number;
  readonly nowMs: number;
  /** The name the container was made with leads to another image now: its id is shown instead. */
  readonly isImageMoved: boolean;
  readonly sizes?: { readonly rw: number; readonly rootFs: number };
}

export const summaryText = (record: ContainerRecord, options: SummaryOptions): string => {
  let fragment = fragments.get(record);
  if (fragment === undefined) {
    fragment = build(record);
    fragments.set(record, fragment);
  }
  const image = options.isImageMoved ? `"${record.imageId}"` : fragment.image;
  const status = statusText(fragment.status, options.nowMs);
  const rest = options.minor < 46 ? fragment.restBefore46 : fragment.rest;
  const { sizes } = options;
  const size = sizes === undefined ? "" : `,"SizeRw":${sizes.rw},"SizeRootFs":${sizes.rootFs}`;
  return `${fragment.beforeImage}${image}${fragment.beforeStatus}${status}"${rest}${size}}`;
};
