/** The options of the Dockerfile frontend, decoded: everything is understood or refused by name. */
import type { BuildRequest } from "#build/build.ts";
import { NaruError } from "#lib/errors.ts";
import { attestOptionsOf } from "#api/docker/buildkit/attest-options.ts";
import type { Ulimit } from "#spec/docker/host-config.ts";
import { csvFields } from "#spec/dockerfile/csv.ts";
import { type Digest, isDigest } from "#spec/image/digest.ts";
import { type Platform, formatPlatform, parsePlatform } from "#spec/image/platform.ts";

export type Attributes = Readonly<Record<string, string>>;

/** Where a named context comes from. */
export type ContextSource =
  | { readonly kind: "image"; readonly reference: string }
  | { readonly kind: "local"; readonly name: string }
  | { readonly kind: "remote"; readonly url: string }
  | ImageContextSource;

/** Contexts that become an image of this daemon first. */
export type ImageContextSource =
  /** LLB that came with the request, and the config of the image that it is; "" for none. */
  | { readonly kind: "input"; readonly name: string; readonly configText: string }
  /** "STORE:TAG@DIGEST" of the client's content stores. */
  | { readonly kind: "layout"; readonly store: string; readonly digest: Digest };

export interface DockerfileOptions {
  readonly filename: string;
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: Readonly<Record<string, string>>;
  /** None: the engine's own. */
  readonly platforms: readonly Platform[];
  /** Seconds since the epoch: the build argument SOURCE_DATE_EPOCH. */
  readonly sourceDateEpoch: number | undefined;
  readonly isCacheIgnored: boolean;
  readonly uncachedStages: readonly string[];
  readonly isPulled: boolean;
  readonly network: BuildRequest["network"];
  readonly extraHosts: readonly string[];
  readonly resources: BuildRequest["resources"];
  readonly contexts: ReadonlyMap<string, ContextSource>;
  /** A git repository or a URL in place of the client's directory. */
  readonly remote: string | undefined;
  /** Session ids by the local directory's name, where they differ from the build's. */
  readonly sessionIds: ReadonlyMap<string, string>;
  /** Names under which the client serves the Dockerfile's directory and the context. */
  readonly dockerfileDirectory: string;
  readonly contextDirectory: string;
  /** "frontend.lint" and the like: a question in place of a build. */
  readonly question: string | undefined;
}

const refuse = (what: string, remedy: string): NaruError =>
  new NaruError("not_implemented", `${what} is not supported by naru: ${remedy}`);

/** Facts about the build for its provenance and for the client itself; they change no result. */
const FACTS =
  /^(vcs:|input-metadata:|frontend\.caps$|cmdline$|source$|requestid$|build-arg:BUILDKIT_SYNTAX$)/;

/** `metadata` is JSON of base64 by key, beside the input. */
const inputSource = (name: string, metadata: string | undefined): ImageContextSource => {
  const values = JSON.parse(metadata ?? "{}") as Record<string, unknown>;
  const config = values["containerimage.config"];
  const configText = typeof config === "string" ? Buffer.from(config, "base64").toString() : "";
  return { kind: "input", name, configText };
};

const layoutSource = (value: string): ImageContextSource => {
  const [reference = "", digest = ""] = value.split("@");
  const store = reference.replace(/:.*/s, "");
  if (isDigest(digest)) return { kind: "layout", store, digest };
  throw new NaruError("invalid_argument", `oci-layout "${value}" has no digest`);
};

const contextSource = (name: string, value: string, attributes: Attributes): ContextSource => {
  const [scheme = "", rest = ""] = value.split(/:(?:\/\/)?(.*)/s);
  switch (scheme) {
    case "docker-image":
      return { kind: "image", reference: rest };
    case "local":
      return { kind: "local", name: rest };
    case "input":
      return inputSource(rest, attributes[`input-metadata:${rest}`]);
    case "oci-layout":
      return layoutSource(rest);
    case "http":
    case "https":
    case "git":
    case "ssh":
      return { kind: "remote", url: value };
    default:
      if (/^(git@|github\.com\/)/.test(value)) return { kind: "remote", url: value };
      throw refuse(`context "${name}" from "${value}"`, "use a directory, an image or a URL");
  }
};

const networkOf = (mode: string): BuildRequest["network"] => {
  if (mode === "" || mode === "default" || mode === "sandbox" || mode === "bridge")
    return "default";
  if (mode === "none" || mode === "host") return mode;
  throw refuse(`network mode "${mode}"`, "use default, none or host");
};

const platformsOf = (text: string): Platform[] => {
  const names = text.split(",").filter((name) => name !== "");
  const byName = new Map(names.map(parsePlatform).map((one) => [formatPlatform(one), one]));
  return [...byName.values()];
};

const integerOf = (name: string, text: string): number => {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new NaruError("invalid_argument", `"${name}" must be a number: "${text}"`);
};

/** "nofile=1024:2048,nproc=100". */
const ulimitsOf = (text: string): Ulimit[] =>
  csvFields(text).map((field) => {
    const [Name = "", limits = ""] = field.split("=");
    const [soft = "", hard = soft] = limits.split(":");
    return { Name, Soft: integerOf("ulimit", soft), Hard: integerOf("ulimit", hard) };
  });

const resourcesOf = (attributes: Attributes): BuildRequest["resources"] => {
  const shm = attributes["shm-size"] ?? "";
  const ulimit = attributes["ulimit"] ?? "";
  const parent = attributes["cgroup-parent"] ?? "";
  return {
    ...(shm === "" ? {} : { ShmSize: integerOf("shm-size", shm) }),
    ...(ulimit === "" ? {} : { Ulimits: ulimitsOf(ulimit) }),
    ...(parent === "" ? {} : { CgroupParent: parent }),
  };
};

/** "name=address" as the engine has it: "name:address". */
const extraHostsOf = (text: string): string[] =>
  csvFields(text)
    .filter((field) => field !== "")
    .map((field) => field.replace("=", ":"));

const PLAIN = new Set([
  "filename",
  "target",
  "platform",
  "no-cache",
  "image-resolve-mode",
  "force-network-mode",
  "add-hosts",
  "shm-size",
  "ulimit",
  "cgroup-parent",
  "context",
  "contextkey",
  "dockerfilekey",
  "multi-platform",
  "local-sessionid",
]);

/** Options with a name of their own behind a colon. */
class Named {
  readonly buildArgs = new Map<string, string>();
  readonly labels: Record<string, string> = {};
  readonly contexts = new Map<string, ContextSource>();
  readonly sessionIds = new Map<string, string>();

  take(attribute: string, value: string, attributes: Attributes): void {
    const colon = attribute.indexOf(":");
    const rest = attribute.slice(colon + 1);
    switch (colon < 0 ? attribute : attribute.slice(0, colon)) {
      case "build-arg":
        this.buildArgs.set(rest, value);
        return;
      case "label":
        this.labels[rest] = value;
        return;
      case "context": {
        // One for a single platform goes by "name::platform".
        const [name = rest] = rest.split("::");
        this.contexts.set(name, contextSource(name, value, attributes));
        return;
      }
      case "local-sessionid":
        this.sessionIds.set(rest, value);
        return;
      case "attest":
        // All of them at once: attest-options.ts.
        return;
      case "cache-imports":
      case "cache-from":
        // Read by whoever opens them: cache-options.ts.
        return;
      default:
        throw refuse(`the build option "${attribute}"`, "leave it out");
    }
  }
}

const isRemote = (text: string): boolean =>
  /^(https?|git|ssh):\/\/|^git@|^github\.com\//.test(text);

export const decodeAttributes = (attributes: Attributes): DockerfileOptions => {
  const named = new Named();
  for (const [name, value] of Object.entries(attributes)) {
    if (!PLAIN.has(name) && !FACTS.test(name)) named.take(name, value, attributes);
  }
  const noCache = attributes["no-cache"];
  const epoch = attributes["build-arg:SOURCE_DATE_EPOCH"] ?? "";
  const context = attributes["context"] ?? "";
  attestOptionsOf(attributes);
  if (context !== "" && !isRemote(context)) throw refuse(`context "${context}"`, "use a URL");
  return {
    buildArgs: named.buildArgs,
    labels: named.labels,
    contexts: named.contexts,
    sessionIds: named.sessionIds,
    filename: attributes["filename"] || "Dockerfile",
    target: attributes["target"] || undefined,
    platforms: platformsOf(attributes["platform"] ?? ""),
    sourceDateEpoch: epoch === "" ? undefined : integerOf("SOURCE_DATE_EPOCH", epoch),
    isCacheIgnored: noCache === "",
    uncachedStages: (noCache ?? "").split(",").filter((name) => name !== ""),
    isPulled: attributes["image-resolve-mode"] === "pull",
    network: networkOf(attributes["force-network-mode"] ?? ""),
    extraHosts: extraHostsOf(attributes["add-hosts"] ?? ""),
    resources: resourcesOf(attributes),
    remote: context === "" ? undefined : context,
    dockerfileDirectory: attributes["dockerfilekey"] || "dockerfile",
    contextDirectory: attributes["contextkey"] || "context",
    question: attributes["requestid"] || undefined,
  };
};
