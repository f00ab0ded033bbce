/** What refers to a manifest (distribution-spec 1.1, "Listing Referrers" and the referrers tag schema). */
import { NaruError } from "#lib/errors.ts";
import { readBounded } from "#remote/read-bounded.ts";
import { parseNextLink } from "#spec/distribution/answers.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, algorithmOf, hexOf } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { OCI_INDEX } from "#spec/image/media-type.ts";

const PAGE_MAX_BYTES = 4 * 1024 * 1024;
const PAGES_MAX = 16;
/** Registries without the API say so in several ways; so do proxies before them. */
const WITHOUT_API = [400, 404, 405];

type Ask = (path: string | URL, accepts: readonly number[]) => Promise<Response>;

const indexOf = async (response: Response, what: string): Promise<readonly Descriptor[]> => {
  const bytes = await readBounded(response, PAGE_MAX_BYTES, what);
  const index = parseManifest(new TextDecoder().decode(bytes), OCI_INDEX);
  if (index.kind === "index") return index.manifests;
  throw new NaruError("invalid_argument", `${what} are told by an image manifest, not by an index`);
};

const isIndex = (response: Response): boolean =>
  response.headers.get("content-type")?.split(";")[0]?.trim() === OCI_INDEX;

/** By the tag that clients keep up where the registry does not. */
const byTag = async (ask: Ask, digest: Digest): Promise<readonly Descriptor[]> => {
  const tag = `${algorithmOf(digest)}-${hexOf(digest)}`.slice(0, 128);
  const response = await ask(`/manifests/${tag}`, [200, 404]);
  if (response.status === 200) return await indexOf(response, `referrers of "${digest}"`);
  await response.body?.cancel();
  return [];
};

/** `onward`: where a page's link leads. */
export const readReferrers = async (
  ask: Ask,
  onward: (response: Response, link: string) => URL,
  digest: Digest,
): Promise<readonly Descriptor[]> => {
  const found: Descriptor[] = [];
  let path: string | URL = `/referrers/${digest}`;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const response = await ask(path, [200, ...WITHOUT_API]);
    if (response.status !== 200 || !isIndex(response)) {
      await response.body?.cancel();
      return page === 0 ? await byTag(ask, digest) : found;
    }
    found.push(...(await indexOf(response, `referrers of "${digest}"`)));
    const next = parseNextLink(response.headers.get("link"));
    if (next === undefined) return found;
    path = onward(response, next);
  }
  return found;
};
