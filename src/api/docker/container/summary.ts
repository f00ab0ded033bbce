/**
 * The elements of GET /containers/json. Records are immutable, so what is derived from one is kept
 * as bytes of JSON beside it; a list is put together by copying, with only the ages made anew.
 */
import {
  statusLifetimeMs,
  statusTemplate,
  statusText,
  type StatusTemplate,
} from "#api/docker/container/status-text.ts";
import { shownPorts } from "#api/docker/container/shown-ports.ts";
import type { ContainerRecord } from "#container/container.ts";
import { parseInstant } from "#lib/clock.ts";
import type { PortSummary } from "#spec/docker/container.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";

interface Fragment {
  /** Up to the value of Status, which stands last before `rest`. */
  readonly head: Buffer;
  /** As `head` when the image's name leads elsewhere now: its id is shown in place of the name. */
  readonly headMoved: Buffer;
  readonly status: StatusTemplate;
  /** With and without HostConfig.Annotations, which lists show since API 1.46. */
  readonly rest: Buffer;
  readonly restBefore46: Buffer;
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

/** Aliases, links and driver options belong to inspect. */
const summaryEndpoint = (endpoint: EndpointSettings): EndpointSettings => ({
  ...endpoint,
  Links: null,
  Aliases: null,
  DriverOpts: null,
  DNSNames: null,
});

/** `linkNames`: see link-names.ts. */
const headOf = (
  record: ContainerRecord,
  image: string,
  linkNames: readonly string[] = [],
): Buffer => {
  const { config, state } = record;
  const whole = {
    Id: record.id,
    Names: [`/${record.name}`, ...linkNames].toSorted(),
    Image: image,
    ImageID: record.imageId,
    Command: commandText(record),
    Created: Number(parseInstant(record.createdAt) / 1_000_000_000n),
    Ports: portSummaries(shownPorts(record)),
    Labels: config.Labels,
    State: state.status,
  };
  return Buffer.from(`${JSON.stringify(whole).slice(0, -1)},"Status":"`);
};

const build = (record: ContainerRecord): Fragment => {
  const { config, hostConfig, state } = record;
  const networks = Object.fromEntries(
    Object.entries(record.endpoints).map(([name, value]) => [name, summaryEndpoint(value)]),
  );
  const tail = { NetworkSettings: { Networks: networks }, Mounts: record.mounts };
  const { NetworkMode, Annotations } = hostConfig;
  const restOf = (annotations: object): Buffer =>
    Buffer.from(
      `","HostConfig":${JSON.stringify({ NetworkMode, ...annotations })},${JSON.stringify(tail).slice(1, -1)}`,
    );
  const restBefore46 = restOf({});
  return {
    head: headOf(record, config.Image),
    headMoved: headOf(record, record.imageId),
    status: statusTemplate(state),
    rest: Annotations === undefined ? restBefore46 : restOf({ Annotations }),
    restBefore46,
  };
};

const fragmentOf = (record: ContainerRecord): Fragment => {
  let fragment = fragments.get(record);
  if (fragment === undefined) {
    fragment = build(record);
    fragments.set(record, fragment);
  }
  return fragment;
};

export interface SummaryItem {
  readonly record: ContainerRecord;
  /** The name the container was made with leads to another image now. */
  readonly isImageMoved: boolean;
  readonly sizes?: { readonly rw: number; readonly rootFs: number };
  /** Where others link to it. */
  readonly linkNames?: readonly string[] | undefined;
}

const OPEN = 0x5b;
const CLOSE = 0x5d;
const COMMA = 0x2c;
const NEWLINE = 0x0a;

interface CachedList {
  readonly bytes: Buffer;
  readonly items: readonly SummaryItem[];
  readonly hasAnnotations: boolean;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Whoever polls gets the same bytes until a container or an age changes. */
export class SummaryCache {
  #last: CachedList | undefined;

  list(
    items: readonly SummaryItem[],
    options: { readonly minor: number; readonly nowMs: number },
  ): Buffer {
    const { nowMs } = options;
    const hasAnnotations = options.minor >= 46;
    const last = this.#last;
    if (
      last !== undefined &&
      last.hasAnnotations === hasAnnotations &&
      nowMs >= last.fromMs &&
      nowMs < last.untilMs &&
      last.items.length === items.length &&
      items.every((item, index) => isSame(item, last.items[index]))
    ) {
      return last.bytes;
    }
    const bytes = summaryList(items, options);
    let untilMs = Number.POSITIVE_INFINITY;
    for (const { record } of items) {
      const lifetimeMs = statusLifetimeMs(fragmentOf(record).status, nowMs);
      untilMs = Math.min(untilMs, nowMs + lifetimeMs);
    }
    this.#last = { bytes, items, hasAnnotations, fromMs: nowMs, untilMs };
    return bytes;
  }
}

const isSame = (a: SummaryItem, b: SummaryItem | undefined): boolean =>
  a.record === b?.record &&
  a.isImageMoved === b.isImageMoved &&
  a.sizes === b.sizes &&
  a.linkNames?.join() === b.linkNames?.join();

/** Zero is left out, as Docker does. */
const sizesText = ({ rw, rootFs }: NonNullable<SummaryItem["sizes"]>): string =>
  `${rw > 0 ? `,"SizeRw":${rw}` : ""}${rootFs > 0 ? `,"SizeRootFs":${rootFs}` : ""}}`;

/** The whole list as JSON, ending in a newline. */
export const summaryList = (
  items: readonly SummaryItem[],
  options: { readonly minor: number; readonly nowMs: number },
): Buffer => {
  const parts = items.map(({ record, isImageMoved, sizes, linkNames }) => {
    const { head, headMoved, status, rest, restBefore46 } = fragmentOf(record);
    const ownHead = isImageMoved ? headMoved : head;
    const image = isImageMoved ? record.imageId : record.config.Image;
    return {
      head: linkNames === undefined ? ownHead : headOf(record, image, linkNames),
      // Status texts are ASCII.
      status: statusText(status, options.nowMs),
      rest: options.minor < 46 ? restBefore46 : rest,
      end: sizes === undefined ? "}" : sizesText(sizes),
    };
  });
  let size = 2 + Math.max(1, parts.length);
  for (const part of parts) {
    size += part.head.length + part.status.length + part.rest.length + part.end.length;
  }
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const part of parts) {
    bytes[at] = at === 0 ? OPEN : COMMA;
    at += 1;
    bytes.set(part.head, at);
    at += part.head.length;
    at += bytes.write(part.status, at, "latin1");
    bytes.set(part.rest, at);
    at += part.rest.length;
    at += bytes.write(part.end, at, "latin1");
  }
  if (parts.length === 0) bytes[at++] = OPEN;
  bytes[at] = CLOSE;
  bytes[at + 1] = NEWLINE;
  return bytes;
};
