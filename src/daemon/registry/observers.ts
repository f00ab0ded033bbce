/** Puts together who is told what happened: metrics, the audit log, webhooks. */
import type { Logger } from "#lib/log.ts";
import type { RegistryObserver } from "#registry/observer.ts";
import { Metrics } from "#registry/observe/metrics.ts";
import type { ObserveConfig } from "#daemon/registry/access-config.ts";

export interface Observers extends AsyncDisposable {
  readonly metrics: Metrics;
  readonly observer: RegistryObserver;
}

export const buildObservers = async (
  config: ObserveConfig,
  baseUrl: string,
  root: string,
  log: Logger,
): Promise<Observers> => {
  await using undo = new AsyncDisposableStack();
  const metrics = new Metrics();
  const audit =
    config.audit === undefined
      ? undefined
      : undo.use(new (await import("#registry/observe/audit.ts")).AuditLog(config.audit, log));
  const webhooks =
    config.webhooks.length === 0
      ? undefined
      : new (await import("#registry/observe/webhooks.ts")).Webhooks(config.webhooks, baseUrl, {
          path: `${root}/webhooks.json`,
          log,
        });
  undo.defer(() => webhooks?.close());
  const owned = undo.move();
  return {
    metrics,
    observer: {
      event: (event) => {
        metrics.event(event);
        audit?.event(event);
        webhooks?.event(event);
      },
      request: (method, route, status, durationMs) =>
        metrics.request(method, route, status, durationMs),
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
};
