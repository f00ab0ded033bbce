/** Mounts in the short form: `[SOURCE:]TARGET[:OPTION,…]`. */
import { cleanPath } from "#lib/path.ts";

const PROPAGATIONS = new Set(["rprivate", "private", "rshared", "shared", "rslave", "slave"]);

const isFilePath = (source: string): boolean => /^[./~]/.test(source);

const applyOption = (mount: Record<string, unknown>, option: string): string | undefined => {
  const bind = (mount["bind"] as Record<string, unknown> | undefined) ?? {};
  if (option === "ro" || option === "rw") {
    if (option === "ro") mount["read_only"] = true;
  } else if (option === "nocopy") {
    mount["volume"] = { nocopy: true };
  } else if (PROPAGATIONS.has(option)) {
    mount["bind"] = { ...bind, propagation: option };
  } else if (option === "z" || option === "Z") {
    mount["bind"] = { ...bind, selinux: option };
  } else if (!["cached", "delegated", "consistent", ""].includes(option)) {
    return `unknown option "${option}"`;
  }
  return undefined;
};

/** Plain data of the long form, or the reason why it is none. Sources stay as written. */
export const parseVolume = (text: string): Record<string, unknown> | string => {
  const parts = text.split(":");
  if (text === "") return "an empty text is no mount";
  if (parts.includes("")) return "there is an empty part between the colons";
  if (parts.length > 3) return "there are too many colons; use the long form";
  const [first = "", target, optionText] = parts;
  if (target === undefined) return { type: "volume", target: cleanPath(first), volume: {} };
  const mount: Record<string, unknown> = {
    type: isFilePath(first) ? "bind" : "volume",
    source: first,
    target: cleanPath(target),
  };
  for (const option of optionText?.split(",") ?? []) {
    const reason = applyOption(mount, option);
    if (reason !== undefined) return reason;
  }
  if (mount["type"] === "bind") {
    mount["bind"] = { ...(mount["bind"] as object | undefined), create_host_path: true };
  } else {
    mount["volume"] ??= {};
  }
  return mount;
};
