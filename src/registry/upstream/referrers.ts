/**
 * What refers to an image of an upstream (signatures, attestations): its upstream says, asked anew after the time that
 * counts for tags. The manifests themselves come when somebody asks for them, and are listed from here when the
 * upstream cannot be reached.
 */
import { monotonicMs } from "#lib/clock.ts";
import type { ReferrerRow } from "#metadata/registry/manifests.ts";
import type { LocalDependencies } from "#registry/local.ts";
import type { Page, ReferrersQuery } from "#registry/registry.ts";
import type { Repository } from "#remote/remote.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";

const TIMEOUT_MS = 60_000;
/** Lists kept, and how long one may be: an image has a handful. */
const LISTS_LIMIT = 1000;
const LIST_LIMIT = 1000;

interface Source {
  readonly repository: string;
  readonly upstream: { readonly tagTtlMs: number };
  readonly open: () => Repository;
}

interface Known {
  readonly atMs: number;
  readonly rows: readonly ReferrerRow[];
}

const rowOf = (one: Descriptor): ReferrerRow => ({
  mediaType: one.mediaType,
  digest: one.digest,
  sizeBytes: one.size,
  artifactType: one.artifactType ?? "",
  annotations: JSON.stringify(one.annotations ?? {}),
});

export class UpstreamReferrers {
  readonly #deps: LocalDependencies;
  readonly #known = new Map<string, Known>();

  constructor(deps: LocalDependencies) {
    this.#deps = deps;
  }

  /** `here`: what was fetched before, for when the upstream does not answer. */
  async list(
    source: Source,
    subject: Digest,
    query: ReferrersQuery,
    here: () => Page<ReferrerRow> | Promise<Page<ReferrerRow>>,
  ): Promise<Page<ReferrerRow>> {
    let rows: readonly ReferrerRow[];
    try {
      rows = await this.#rows(source, subject);
    } catch (error) {
      this.#deps.log.warn("the upstream does not tell of referrers: listed what was here", {
        repository: source.repository,
        subject,
        error,
      });
      return await here();
    }
    const { artifactType, last = "" } = query;
    const limit = Math.min(query.limit ?? Number.POSITIVE_INFINITY, this.#deps.limits.maxPage);
    const rest = rows.filter(
      (row) =>
        row.digest > last && (artifactType === undefined || row.artifactType === artifactType),
    );
    const items = rest.slice(0, limit);
    return { items, next: rest.length > items.length ? items.at(-1)?.digest : undefined };
  }

  async #rows(source: Source, subject: Digest): Promise<readonly ReferrerRow[]> {
    const key = `${source.repository}@${subject}`;
    const known = this.#known.get(key);
    const nowMs = monotonicMs();
    if (known !== undefined && nowMs - known.atMs < source.upstream.tagTtlMs) return known.rows;
    const told = await source.open().referrers(subject, AbortSignal.timeout(TIMEOUT_MS));
    const rows = told
      .slice(0, LIST_LIMIT)
      .map(rowOf)
      .toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
    if (this.#known.size >= LISTS_LIMIT) this.#known.clear();
    this.#known.set(key, { atMs: nowMs, rows });
    return rows;
  }
}
