/** A service's image, built by the engine: `naru build` with what the file says. */
import type { CliContext } from "#cli/context.ts";
import { ignoreOf } from "#cli/build/local-context.ts";
import { delegate } from "#cli/compose/delegate.ts";
import { imageOf } from "#compose/names.ts";
import { LABEL } from "#compose/labels.ts";
import type { Build, FileObject } from "#spec/compose/compose.ts";
import type { Project } from "#spec/compose/project.ts";
import { parseDockerignore } from "#spec/dockerfile/dockerignore.ts";
import { NaruError } from "#lib/errors.ts";

export interface BuildChanges {
  readonly hasNoCache?: boolean;
  readonly isPulled?: boolean;
  readonly isQuiet?: boolean;
  readonly args?: readonly string[];
}

/** Attributes that the engine's builder has no counterpart for. */
const refuse = (service: string, build: Build): void => {
  if (build.isolation === undefined || build.isolation === "default") return;
  throw new NaruError(
    "not_implemented",
    `services.${service}.build.isolation is not supported by this engine's builder; remove it`,
  );
};

const secretOf = (source: string, target: string, object: FileObject | undefined): string => {
  const id = target.startsWith("/run/secrets/") ? target.slice("/run/secrets/".length) : target;
  if (object?.file !== undefined) return `id=${id},src=${object.file}`;
  if (object?.environment !== undefined) return `id=${id},env=${object.environment}`;
  throw new NaruError(
    "not_implemented",
    `the secret "${source}" cannot be given to a build: it comes neither from a file nor from a variable`,
  );
};

const contextsOf = (build: Build, project: Project): string[] =>
  Object.entries(build.additional_contexts ?? {}).map(([name, context]) =>
    context.startsWith("service:")
      ? `${name}=docker-image://${imageOf(project.model, context.slice("service:".length))}`
      : `${name}=${context}`,
  );

const pairs = (record: Readonly<Record<string, string | null>> | undefined): string[] =>
  Object.entries(record ?? {}).map(([key, value]) => (value === null ? key : `${key}=${value}`));

const ulimitsOf = ({ ulimits = {} }: Build): string[] =>
  Object.entries(ulimits).map(([name, limit]) =>
    typeof limit === "number" ? `${name}=${limit}` : `${name}=${limit.soft}:${limit.hard}`,
  );

/** What the file asks for; the daemon's configuration says whether it is granted. */
const entitlementsOf = ({ entitlements = [], privileged }: Build): string[] =>
  privileged === true ? [...entitlements, "security.insecure"] : [...entitlements];

/** A Dockerfile that stands in the compose file, as a file for the time of the build. */
const inlineFile = async (text: string): Promise<{ path: string } & AsyncDisposable> => {
  const { mkdtemp, rm, writeFile } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  const folder = await mkdtemp(`${tmpdir()}/naru-dockerfile-`);
  const path = `${folder}/Dockerfile`;
  await writeFile(path, text);
  return {
    path,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
};

const dockerfileOf = (build: Build): string | undefined => {
  const { dockerfile, context } = build;
  if (dockerfile === undefined || dockerfile.startsWith("/")) return dockerfile;
  return context.startsWith("/") ? `${context}/${dockerfile}` : dockerfile;
};

/** What `.dockerignore` leaves out of the context; undefined where the context is none of this machine's folders. */
export const leftOutOf = async (
  build: Build,
): Promise<{ context: string; patterns: readonly string[] } | undefined> => {
  const { context } = build;
  if (!context.startsWith("/")) return undefined;
  const text = await ignoreOf(dockerfileOf(build) ?? `${context}/Dockerfile`, context);
  return { context, patterns: parseDockerignore(text) };
};

/** Rejects with the builder's words. */
export const buildService = async (
  context: CliContext,
  project: Project,
  service: string,
  image: string,
  changes: BuildChanges = {},
): Promise<void> => {
  const given = project.model.services[service];
  const build = given?.build;
  if (build === undefined) {
    throw new NaruError("invalid_argument", `the service "${service}" has no "build"`);
  }
  refuse(service, build);
  await using stack = new AsyncDisposableStack();
  const inline =
    build.dockerfile_inline === undefined
      ? undefined
      : stack.use(await inlineFile(build.dockerfile_inline));
  const { command } = await import("#cli/build/build.ts");
  const [first, ...others] = build.platforms ?? [];
  const platform = others.length > 0 ? [first, ...others].join(",") : (first ?? given?.platform);
  const secrets = (build.secrets ?? []).map(({ source, target }) =>
    secretOf(source, target ?? source, project.model.secrets?.[source]),
  );
  const code = await delegate(context, command, [build.context], {
    tag: [image, ...(build.tags ?? [])],
    "build-arg": [...pairs(build.args), ...(changes.args ?? [])],
    "build-context": contextsOf(build, project),
    "cache-from": build.cache_from ?? [],
    "cache-to": build.cache_to ?? [],
    "add-host": (build.extra_hosts ?? []).map((line) => line.replace("=", ":")),
    label: [
      ...pairs(build.labels),
      `${LABEL.project}=${project.model.name}`,
      `${LABEL.service}=${service}`,
    ],
    "no-cache": changes.hasNoCache === true || build.no_cache === true,
    pull: changes.isPulled === true || build.pull === true,
    secret: secrets,
    ssh: build.ssh ?? [],
    progress: changes.isQuiet === true ? "quiet" : "auto",
    file: inline?.path ?? dockerfileOf(build),
    ...(build.target === undefined ? {} : { target: build.target }),
    ...(build.network === undefined ? {} : { network: build.network }),
    ...(build.shm_size === undefined ? {} : { "shm-size": build.shm_size }),
    ...(platform === undefined ? {} : { platform }),
    ...(build.provenance === undefined ? {} : { provenance: build.provenance }),
    ...(build.sbom === undefined ? {} : { sbom: build.sbom }),
    allow: entitlementsOf(build),
    ulimit: ulimitsOf(build),
  });
  if (code !== 0) throw new NaruError("aborted", `the image "${image}" could not be built`);
};
