/** Lists, page by page: tags, referrers, repositories (end-8, end-12, and Docker's catalog). */
import { type Call, JSON_FIELDS, nextLink } from "#api/distribution/call.ts";
import type { ReferrerRow } from "#metadata/registry/manifests.ts";
import { OCI_INDEX } from "#spec/image/media-type.ts";

export const listTags = async (call: Call): Promise<void> => {
  const query = { last: call.parameter("last"), limit: call.limit };
  const { items, next } = await call.registry.tags(call.repository, query);
  const body = JSON.stringify({ name: call.repository, tags: items });
  call.exchange.answer(200, `${JSON_FIELDS}${nextLink(call, next)}`, body);
};

export const listRepositories = (call: Call): void => {
  const query = { last: call.parameter("last"), limit: call.limit };
  const { items, next } = call.registry.repositories(query);
  const body = JSON.stringify({ repositories: items });
  call.exchange.answer(200, `${JSON_FIELDS}${nextLink(call, next)}`, body);
};

const descriptorOf = (row: ReferrerRow): object => {
  const annotations = JSON.parse(row.annotations) as Record<string, string>;
  return {
    mediaType: row.mediaType,
    digest: row.digest,
    size: row.sizeBytes,
    ...(row.artifactType === "" ? {} : { artifactType: row.artifactType }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
};

/** A subject that nobody refers to, or that is not here, has an empty list: never 404. */
export const listReferrers = async (call: Call): Promise<void> => {
  // A media type has no space: a "+" that was not escaped stands for itself (RFC 3986), not for a form's space.
  const artifactType = call.parameter("artifactType")?.replaceAll(" ", "+");
  const { items, next } = await call.registry.referrers(call.repository, call.argument, {
    artifactType,
    last: call.parameter("last"),
    limit: call.limit,
  });
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: items.map(descriptorOf),
  });
  const filtered = artifactType === undefined ? "" : "OCI-Filters-Applied: artifactType\r\n";
  const fields = `Content-Type: ${OCI_INDEX}\r\n${filtered}${nextLink(call, next)}`;
  call.exchange.answer(200, fields, body);
};
