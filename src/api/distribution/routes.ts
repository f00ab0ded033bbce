/** Paths of the distribution API to handlers: distribution-spec 1.1.1, "Endpoints" (end-1 to end-14). */
import { getBlob, deleteBlob } from "#api/distribution/blobs.ts";
import type { Call } from "#api/distribution/call.ts";
import { listReferrers, listRepositories, listTags } from "#api/distribution/lists.ts";
import { deleteManifest, getManifest, putManifest } from "#api/distribution/manifests.ts";
import {
  appendUpload,
  cancelUpload,
  finishUpload,
  startUpload,
  uploadStatus,
} from "#api/distribution/uploads.ts";
import type { Action } from "#registry/access/access.ts";

export type Handler = (call: Call) => void | Promise<void>;

export interface Route {
  /** For metrics. */
  readonly name: string;
  readonly action: Action;
  readonly handler: Handler;
}

type Methods = Readonly<Record<string, Route>>;

const route = (name: string, action: Action, handler: Handler): Route => ({
  name,
  action,
  handler,
});

const BLOB: Methods = {
  GET: route("blob", "pull", getBlob),
  HEAD: route("blob", "pull", getBlob),
  DELETE: route("blob", "delete", deleteBlob),
};
const MANIFEST: Methods = {
  GET: route("manifest", "pull", getManifest),
  HEAD: route("manifest", "pull", getManifest),
  PUT: route("manifest", "push", putManifest),
  DELETE: route("manifest", "delete", deleteManifest),
};
const UPLOADS: Methods = { POST: route("uploads", "push", startUpload) };
const UPLOAD: Methods = {
  GET: route("upload", "push", uploadStatus),
  HEAD: route("upload", "push", uploadStatus),
  PATCH: route("upload", "push", appendUpload),
  PUT: route("upload", "push", finishUpload),
  DELETE: route("upload", "push", cancelUpload),
};
const TAGS: Methods = { GET: route("tags", "pull", listTags) };
const REFERRERS: Methods = { GET: route("referrers", "pull", listReferrers) };
const CATALOG: Methods = { GET: route("catalog", "catalog", listRepositories) };

export interface Target {
  readonly methods: Methods;
  readonly repository: string;
  readonly argument: string;
}

const ONE = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/([^/]+)$/;
const UPLOAD_PATH = /^\/v2\/(.+)\/blobs\/uploads\/([^/]*)$/;
const UPLOAD_START = /^\/v2\/(.+)\/blobs\/uploads$/;
const TAGS_PATH = /^\/v2\/(.+)\/tags\/list$/;

const target = (methods: Methods, repository = "", argument = ""): Target => ({
  methods,
  repository,
  argument,
});

/** Malformed escapes are left as they are: no name has a "%". */
const decode = (text: string): string => {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** undefined: no such path. A repository's name may itself have parts like "blobs": the last ones count. */
export const findTarget = (path: string): Target | undefined => {
  if (path === "/v2/_catalog") return target(CATALOG);
  const upload = UPLOAD_PATH.exec(path);
  if (upload !== null) {
    const [, repository = "", id = ""] = upload;
    return id === ""
      ? target(UPLOADS, decode(repository))
      : target(UPLOAD, decode(repository), decode(id));
  }
  const start = UPLOAD_START.exec(path);
  if (start !== null) return target(UPLOADS, decode(start[1] ?? ""));
  const one = ONE.exec(path);
  if (one !== null) {
    const [, repository = "", noun = "", argument = ""] = one;
    const methods = noun === "manifests" ? MANIFEST : noun === "blobs" ? BLOB : REFERRERS;
    return target(methods, decode(repository), decode(argument));
  }
  const tags = TAGS_PATH.exec(path);
  return tags === null ? undefined : target(TAGS, decode(tags[1] ?? ""));
};
