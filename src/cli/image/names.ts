/** Image names as people write them. */

/** With ":latest" when neither tag nor digest is given, without docker.io and library. */
export const familiarName = (image: string): string => {
  const short = image.replace(/^(index\.)?docker\.io\//, "").replace(/^library\//, "");
  const last = short.slice(short.lastIndexOf("/") + 1);
  return last.includes(":") || short.includes("@") ? short : `${short}:latest`;
};

/** The registry a name points to. */
export const registryOf = (image: string): string => {
  const [first = "", ...rest] = image.split("/");
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  return isHost ? first : "docker.io";
};

/** "debian:bookworm" → "debian", "bookworm"; the port of a registry is no tag. */
export const splitReference = (
  reference: string,
): { readonly repository: string; readonly tag: string | undefined } => {
  const colon = reference.indexOf(":", reference.lastIndexOf("/") + 1);
  return colon < 0
    ? { repository: reference, tag: undefined }
    : { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) };
};
