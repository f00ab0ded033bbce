/** One request to the distribution API, with what its handler needs. */
import type { DistributionBackend } from "#api/distribution/backend.ts";
import type { Exchange } from "#api/http/exchange.ts";
import type { Identity, Wanted } from "#registry/access/access.ts";
import type { RegistryEvent } from "#registry/observer.ts";
import type { Registry } from "#registry/registry.ts";
import { distributionError } from "#spec/distribution/errors.ts";

export const JSON_FIELDS = "Content-Type: application/json\r\n";

export class Call {
  readonly backend: DistributionBackend;
  readonly exchange: Exchange;
  readonly identity: Identity;
  readonly repository: string;
  /** What follows the noun in the path: a tag, a digest, an upload's id. */
  readonly argument: string;
  #query: URLSearchParams | undefined;

  constructor(
    backend: DistributionBackend,
    exchange: Exchange,
    identity: Identity,
    target: { readonly repository: string; readonly argument: string },
  ) {
    this.backend = backend;
    this.exchange = exchange;
    this.identity = identity;
    this.repository = target.repository;
    this.argument = target.argument;
  }

  get registry(): Registry {
    return this.backend.registry;
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.exchange.head.queryText);
    return this.#query;
  }

  /** undefined when absent or empty. */
  parameter(name: string): string | undefined {
    return this.query.get(name) || undefined;
  }

  /** `n` of a list. */
  get limit(): number | undefined {
    const text = this.parameter("n");
    if (text === undefined) return undefined;
    if (/^\d+$/.test(text)) return Math.min(Number(text), Number.MAX_SAFE_INTEGER);
    throw distributionError(
      "UNSUPPORTED",
      `n must be a number, not ${JSON.stringify(text.slice(0, 40))}`,
      {
        status: 400,
      },
    );
  }

  field(name: string): string | undefined {
    return this.exchange.head.fields.get(name);
  }

  mayDo(wanted: Wanted): boolean {
    return this.backend.access.mayDo(this.identity, wanted);
  }

  happened(event: Pick<RegistryEvent, "action" | "kind"> & Partial<RegistryEvent>): void {
    const { head, remoteAddress } = this.exchange;
    this.backend.observer.event({
      repository: this.repository,
      actor: this.identity.name,
      remoteAddress,
      method: head.method,
      host: head.fields.get("host") ?? "",
      userAgent: head.fields.get("user-agent") ?? "",
      ...event,
    });
  }
}

/** For a Link field (RFC 8288): the same list, further on. */
export const nextLink = (call: Call, next: string | undefined): string => {
  if (next === undefined) return "";
  const query = new URLSearchParams(call.exchange.head.queryText);
  query.set("last", next);
  return `Link: <${call.exchange.head.path}?${query.toString()}>; rel="next"\r\n`;
};
