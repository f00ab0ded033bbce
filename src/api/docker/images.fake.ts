/** The images of the backend in memory: one, naru/hello. */
import type { ImageBackend, ProgressMessage } from "#api/docker/backend.ts";
import { bytesOf, digest, type FakeState, ZERO } from "#api/docker/record.fake.ts";
import type { ImageRecord } from "#image/image.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageInspect, ImageSummary } from "#spec/docker/image.ts";

const summary: ImageSummary = {
  Id: digest("1a"),
  ParentId: "",
  RepoTags: ["naru/hello:latest"],
  RepoDigests: [],
  Created: 1,
  Size: 100,
  SharedSize: -1,
  Labels: null,
  Containers: 2,
};

const image = { id: digest("1a"), sizeBytes: 100 } as ImageRecord;
const isKnown = (name: string): boolean =>
  ["naru/hello", "naru/hello:latest", digest("1a")].includes(name);
const getImage = (name: string): ImageRecord => {
  if (!isKnown(name)) throw new NaruError("not_found", `No such image: ${name}`);
  return image;
};

async function* messages(...list: ProgressMessage[]): AsyncGenerator<ProgressMessage> {
  yield* list;
}

// oxlint-disable-next-line eslint/max-lines-per-function
export const createFakeImages = (state: FakeState): ImageBackend => ({
  find: (name) => (isKnown(name) ? image : undefined),
  get: getImage,
  list: (options) => {
    state.calls.push(`images ${JSON.stringify([...options.filters])} ${options.isAll}`);
    return [summary];
  },
  inspect: (name) => {
    getImage(name);
    return {
      Id: digest("1a"),
      Size: 100,
      Created: ZERO,
      RepoTags: [],
      Config: {},
    } as unknown as ImageInspect;
  },
  history: (name) => {
    getImage(name);
    return [];
  },
  tag: (name, target) => {
    state.note("tag", name, target);
    return target;
  },
  remove: async (name, options) => {
    getImage(name);
    state.note("rmi", name, options);
    return [{ Untagged: name }];
  },
  prune: async () => ({ ImagesDeleted: null, SpaceReclaimed: 0 }),
  usage: () => ({ layersBytes: 100, images: [{ summary, sharedBytes: 1, uniqueBytes: 99 }] }),
  load: async (source, options) => {
    let size = 0;
    if (Symbol.asyncIterator in source) for await (const part of source) size += part.length;
    state.note("load", size);
    options.onEvent?.({ kind: "progress", id: "abc", current: 5, total: 10 });
    options.onEvent?.({
      kind: "loaded",
      imageId: digest("1a"),
      reference: "naru/hello:latest",
    });
    return [digest("1a")];
  },
  save: async (names) => {
    state.note("save", ...names);
    names.forEach(getImage);
    return {
      sizeBytes: 3,
      segments: [],
      stream: () => bytesOf("image tar"),
      [Symbol.dispose]: () => void state.calls.push("save disposed"),
    };
  },
  fetchRoot: async (source) => {
    state.note("fetchRoot", source);
    if (source.includes("nobody")) throw new NaruError("not_found", "nobody is there");
    return bytesOf("root tar");
  },
  import: async (source, { reference, message, changes }) => {
    let size = 0;
    if (Symbol.asyncIterator in source) for await (const part of source) size += part.length;
    state.note("import", size, { reference, message, changes });
    return digest("ab");
  },
  pull: async (reference, { onEvent, credentials, isAllTags, platform }) => {
    state.note("pull", reference, { credentials, isAllTags, platform });
    if (reference.startsWith("nobody")) throw new NaruError("unavailable", "connection refused");
    onEvent({ status: "Pulling from library/debian", id: "bookworm" });
    onEvent({ status: "Downloading", id: "abc", current: 1, total: 2 });
    onEvent({ status: "Downloading", id: "abc", current: 2, total: 2 });
    onEvent({ status: "Pull complete", id: "abc" });
  },
  push: async (reference, { onEvent, isAllTags }) => {
    state.note("push", reference, { isAllTags });
    onEvent({ status: "Pushed", id: "abc" });
    onEvent({ status: "", aux: { Tag: "1" } });
  },
  exportRemote: async (name, { hasReferrers, credentials }) => {
    state.note("export", name, { hasReferrers, credentials });
    return {
      stream: () => new Blob(["archive"]).stream(),
      [Symbol.asyncDispose]: async () => state.note("exported", name, ""),
    };
  },
  publish: async (target, source, { onEvent, credentials }) => {
    if ("path" in source) throw new Error("a path");
    const bytes = Buffer.concat(await Array.fromAsync(source)).toString();
    state.note("publish", target, bytes, credentials);
    onEvent({ status: "Digest: x" });
  },
  copy: async (source, target, { onEvent, targetCredentials }) => {
    state.note("copy", source, target, targetCredentials);
    onEvent({ status: "Copied", id: "abc" });
  },
  manifest: async (name, { isInsecure }) => ({
    text: JSON.stringify({ name, ...(isInsecure ? { isInsecure } : {}) }),
    mediaType: "m",
    digest: digest("1"),
    sizeBytes: 7,
  }),
  pushIndex: async (target, entries, { onEvent, isInsecure }) => {
    state.note(isInsecure ? "insecure index" : "index", target, entries);
    onEvent({ status: "Digest: x" });
  },
  login: async ({ username }) => ({ identityToken: `token of ${username}` }),
  distribution: async () => ({
    Descriptor: { mediaType: "m", digest: digest("1"), size: 7 },
    Platforms: [],
  }),
  trustPolicy: () => ({ path: "/etc/naru/trust.json", isPresent: false, rules: [] }),
  checkTrust: async (name) => {
    throw new NaruError("not_found", `no policy for ${name}`);
  },
  bundles: async () => {
    throw new NaruError("not_implemented", "no bundles here");
  },
  async *check() {
    yield { kind: "progress", subject: "blob", id: "sha256:a", sizeBytes: 1 } as const;
  },
  search: async (term) =>
    [1, 3].map((stars) => ({
      name: term,
      description: "",
      star_count: stars,
      is_official: false,
      is_automated: false,
    })),
  hello: () =>
    messages(
      { status: "Pulling from naru/hello", id: "latest" },
      { status: "Status: Image is up to date for naru/hello:latest" },
    ),
  bootstrap: (reference, mirror) => {
    state.calls.push(`bootstrap ${reference} ${mirror}`);
    return (async function* () {
      yield { status: "Downloading", id: "base", progressDetail: { current: 1, total: 2 } };
      throw new NaruError("unavailable", "mirror is down");
    })();
  },
});
