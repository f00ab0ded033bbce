/** Counts for Prometheus (text exposition format 0.0.4). Labels have few values: no repository is one. */
import type { RegistryEvent, RegistryObserver } from "#registry/observer.ts";
import type { Totals } from "#registry/registry.ts";

/** Seconds. */
const BUCKETS: readonly number[] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60];

interface Histogram {
  readonly counts: number[];
  sum: number;
  count: number;
}

const METHODS: readonly string[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

const labels = (pairs: readonly (readonly [string, string])[]): string =>
  `{${pairs.map(([key, value]) => `${key}="${value}"`).join(",")}}`;

export class Metrics implements RegistryObserver {
  readonly #requests = new Map<string, number>();
  readonly #durations = new Map<string, Histogram>();
  readonly #events = new Map<string, { count: number; bytes: number }>();

  /** Since the start. */
  requestCount = 0;

  event({ action, kind, sizeBytes = 0 }: RegistryEvent): void {
    const key = labels([
      ["action", action],
      ["kind", kind],
    ]);
    const entry = this.#events.get(key);
    if (entry === undefined) {
      this.#events.set(key, { count: 1, bytes: sizeBytes });
    } else {
      entry.count += 1;
      entry.bytes += sizeBytes;
    }
  }

  request(method: string, route: string, status: number, durationMs: number): void {
    this.requestCount += 1;
    const known = METHODS.includes(method) ? method : "other";
    const key = `${known} ${route} ${status}`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
    let histogram = this.#durations.get(route);
    if (histogram === undefined) {
      histogram = { counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
      this.#durations.set(route, histogram);
    }
    const seconds = durationMs / 1000;
    histogram.sum += seconds;
    histogram.count += 1;
    for (let index = BUCKETS.length - 1; index >= 0; index -= 1) {
      if (seconds > (BUCKETS[index] ?? 0)) break;
      histogram.counts[index] = (histogram.counts[index] ?? 0) + 1;
    }
  }

  #requestLines(): string[] {
    return [...this.#requests].map(([key, count]) => {
      const [method = "", route = "", code = ""] = key.split(" ");
      const pairs = [
        ["method", method],
        ["route", route],
        ["code", code],
      ] as const;
      return `naru_registry_requests_total${labels(pairs)} ${count}`;
    });
  }

  #durationLines(): string[] {
    const name = "naru_registry_request_duration_seconds";
    return [...this.#durations].flatMap(([route, { counts, sum, count }]) => [
      ...BUCKETS.map((le, index) => `${name}_bucket{route="${route}",le="${le}"} ${counts[index]}`),
      `${name}_bucket{route="${route}",le="+Inf"} ${count}`,
      `${name}_sum{route="${route}"} ${sum}`,
      `${name}_count{route="${route}"} ${count}`,
    ]);
  }

  /** The whole page. */
  text(totals: Totals, connections: number): string {
    const gauges: Readonly<Record<string, number>> = {
      repositories: totals.repositories,
      manifests: totals.manifests,
      tags: totals.tags,
      blobs: totals.blobs,
      blob_bytes: totals.blobBytes,
      open_uploads: totals.uploads,
      connections,
      resident_memory_bytes: process.memoryUsage.rss(),
    };
    const events = [...this.#events];
    const lines = [
      "# TYPE naru_registry_requests_total counter",
      ...this.#requestLines(),
      "# TYPE naru_registry_request_duration_seconds histogram",
      ...this.#durationLines(),
      "# TYPE naru_registry_events_total counter",
      ...events.map(([key, { count }]) => `naru_registry_events_total${key} ${count}`),
      "# TYPE naru_registry_event_bytes_total counter",
      ...events.map(([key, { bytes }]) => `naru_registry_event_bytes_total${key} ${bytes}`),
      ...Object.entries(gauges).flatMap(([name, value]) => [
        `# TYPE naru_registry_${name} gauge`,
        `naru_registry_${name} ${value}`,
      ]),
    ];
    return `${lines.join("\n")}\n`;
  }
}
