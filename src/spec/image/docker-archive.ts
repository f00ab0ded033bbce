/** `docker save` archives: manifest.json (image spec v1.2 of Docker) and the older `repositories`. */
import { NaruError } from "#lib/errors.ts";
import { asArray, asObject, asString, decodeJson } from "#spec/image/decode.ts";

/** One element of manifest.json; the names are paths inside the archive. */
export interface ArchiveManifest {
  readonly Config: string;
  readonly RepoTags: readonly string[] | null;
  readonly Layers: readonly string[];
  readonly Parent?: string;
}

/** Paths of an archive are relative, clean and stay inside. Throws invalid_argument. */
export const checkArchivePath = (path: string): string => {
  const parts = path.split("/");
  if (path === "" || path.includes("\0") || parts.includes("..") || path.startsWith("/")) {
    throw new NaruError(
      "invalid_argument",
      `invalid path "${path.slice(0, 120)}" in image archive`,
    );
  }
  return parts.filter((part) => part !== "" && part !== ".").join("/");
};

export const parseArchiveManifest = (text: string): ArchiveManifest[] =>
  asArray(decodeJson(text, "manifest.json"), "manifest.json").map((item, index) => {
    const what = `manifest.json[${index}]`;
    const object = asObject(item, what);
    const tags = asArray(object["RepoTags"], `${what}.RepoTags`);
    return {
      Config: checkArchivePath(asString(object["Config"], `${what}.Config`)),
      RepoTags: tags.map((tag) => asString(tag, `${what}.RepoTags`)),
      Layers: asArray(object["Layers"], `${what}.Layers`).map((layer) =>
        checkArchivePath(asString(layer, `${what}.Layers`)),
      ),
    };
  });
