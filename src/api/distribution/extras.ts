/**
 * What a registry answers beside /v2/: health, metrics, and the operator's own actions (collection, retention). The
 * latter need the "admin" action.
 */
import type { DistributionBackend, ExtraHandler } from "#api/distribution/backend.ts";
import { JSON_FIELDS } from "#api/distribution/call.ts";
import { checkAccess } from "#api/distribution/check-access.ts";
import type { Exchange } from "#api/http/exchange.ts";
import { retentionEvents } from "#registry/observe/retention-events.ts";
import type { Registry } from "#registry/registry.ts";
import { distributionError } from "#spec/distribution/errors.ts";

const TEXT_FIELDS = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n";

export interface ExtraParts extends Pick<DistributionBackend, "access" | "observer"> {
  readonly registry: Registry;
  /** The Prometheus page. */
  readonly metrics: () => string;
  readonly isMetricsOpen: boolean;
  /** Throws what keeps the registry from working. */
  readonly checkHealth: () => void;
  /** Gives out tokens; undefined where this registry does not (now). */
  readonly tokenEndpoint: () => ExtraHandler | undefined;
}

const onlyMethod = (exchange: Exchange, method: string): void => {
  if (exchange.head.method === method) return;
  throw distributionError("UNSUPPORTED", "this path does not know that method", {
    details: { fields: `Allow: ${method}\r\n` },
  });
};

const asAdmin =
  (
    parts: ExtraParts,
    method: string,
    run: (exchange: Exchange, actor: string) => void | Promise<void>,
  ): ExtraHandler =>
  async (exchange) => {
    const { fields } = exchange.head;
    const identity = await parts.access.identify(
      fields.get("authorization"),
      fields.get("host") ?? "",
    );
    checkAccess(parts, exchange, identity, { action: "admin", repository: "" });
    onlyMethod(exchange, method);
    await run(exchange, identity.name);
  };

const isOn = (query: URLSearchParams, name: string): boolean =>
  ["1", "true", ""].includes(query.get(name) ?? "0");

const collect = async ({ registry }: ExtraParts, exchange: Exchange): Promise<void> => {
  const query = new URLSearchParams(exchange.head.queryText);
  const grace = query.get("grace-seconds");
  if (grace !== null && !/^\d{1,9}$/.test(grace)) {
    throw distributionError("UNSUPPORTED", "grace-seconds must be a number", { status: 400 });
  }
  const report = await registry.collect({
    isDryRun: isOn(query, "dry-run"),
    removesUntagged: isOn(query, "untagged"),
    ...(grace === null ? {} : { graceMs: Number(grace) * 1000 }),
  });
  exchange.answer(200, JSON_FIELDS, `${JSON.stringify(report)}\n`);
};

const retain = async (
  { registry, observer }: ExtraParts,
  exchange: Exchange,
  actor: string,
): Promise<void> => {
  const { queryText, method, fields } = exchange.head;
  const isDryRun = isOn(new URLSearchParams(queryText), "dry-run");
  const report = await registry.retain({ isDryRun });
  const asker = {
    actor,
    method,
    remoteAddress: exchange.remoteAddress,
    host: fields.get("host") ?? "",
    userAgent: fields.get("user-agent") ?? "",
  };
  if (!isDryRun) for (const event of retentionEvents(report, asker)) observer.event(event);
  exchange.answer(200, JSON_FIELDS, `${JSON.stringify(report)}\n`);
};

const refuseTokens: ExtraHandler = () => {
  throw distributionError("UNSUPPORTED", "this registry gives out no tokens", { status: 404 });
};

export const createExtras = (parts: ExtraParts): Map<string, ExtraHandler> => {
  const metrics = (exchange: Exchange): void => exchange.answer(200, TEXT_FIELDS, parts.metrics());
  return new Map<string, ExtraHandler>([
    [
      "/healthz",
      (exchange) => {
        parts.checkHealth();
        exchange.answer(200, JSON_FIELDS, '{"status":"ok"}\n');
      },
    ],
    ["/token", (exchange) => (parts.tokenEndpoint() ?? refuseTokens)(exchange)],
    ["/metrics", parts.isMetricsOpen ? metrics : asAdmin(parts, "GET", metrics)],
    ["/naru/collect", asAdmin(parts, "POST", (exchange) => collect(parts, exchange))],
    [
      "/naru/retention",
      asAdmin(parts, "POST", (exchange, actor) => retain(parts, exchange, actor)),
    ],
  ]);
};
