import { pushImages } from "#cli/compose/push.ts";
import { openProject } from "#cli/compose/project.ts";
import { publishedFiles } from "#cli/compose/published-files.ts";
import { resolveDigests } from "#cli/compose/digests.ts";
import type { CliContext } from "#cli/context.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool, text, unsupported } from "#cli/framework/flags.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import { confirm } from "#cli/terminal/confirm.ts";
import { encodeTar } from "#compose/tar.ts";
import { showProgress } from "#cli/terminal/progress.ts";
import { now } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { VERSION } from "#lib/version.ts";
import type { ArtifactFile, OciVersion } from "#spec/compose/artifact.ts";
import { EMPTY_CONFIG, artifactManifest, describe } from "#spec/compose/artifact.ts";
import type { Model } from "#spec/compose/compose.ts";
import type { Project } from "#spec/compose/project.ts";
import { printYaml } from "#spec/compose/print.ts";

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");

const checkImages = ({ services }: Model): void => {
  const nameless = Object.entries(services)
    .filter(([, { image, build }]) => image === undefined && build !== undefined)
    .map(([name]) => name);
  if (nameless.length === 0) return;
  throw new NaruError(
    "invalid_argument",
    `services without "image" cannot be published, for nobody could pull what they build: ${quoted(nameless)}`,
  );
};

const checkEnvironment = ({ services, configs }: Model): void => {
  const told = [
    ...Object.entries(services).flatMap(([name, { environment, env_file: files }]) => [
      ...(Object.keys(environment ?? {}).length > 0 ? [`service "${name}" has environment`] : []),
      ...(files === undefined || files.length === 0 ? [] : [`service "${name}" has env_file`]),
    ]),
    ...Object.entries(configs ?? {})
      .filter(([, { environment }]) => environment !== undefined)
      .map(([name]) => `config "${name}" is made of a variable`),
  ];
  if (told.length === 0) return;
  throw new NaruError(
    "failed_precondition",
    `${told.join("; ")}: whoever can read the artifact reads them too; --with-env publishes them all the same`,
  );
};

/** What whoever publishes should know of; asked in one. */
const warningOf = ({ services }: Model, hasEnvironment: boolean): string | undefined => {
  const binds = Object.entries(services).flatMap(([name, { volumes = [] }]) =>
    volumes.flatMap(({ type, source = "" }) => (type === "bind" ? [`  ${name}: ${source}`] : [])),
  );
  const settings = hasEnvironment
    ? Object.entries(services).flatMap(([name, { environment = {} }]) =>
        Object.keys(environment).map((key) => `  ${name}: ${key}`),
      )
    : [];
  const parts = [
    ...(binds.length === 0 ? [] : ["folders of this machine are named in it:", ...binds]),
    ...(settings.length === 0 ? [] : ["the values of these variables are in it:", ...settings]),
  ];
  return parts.length === 0 ? undefined : parts.join("\n");
};

const layoutOf = (files: readonly ArtifactFile[], manifest: string): Uint8Array => {
  const top = describe("application/vnd.oci.image.manifest.v1+json", manifest);
  const blobs = [...new Set([manifest, EMPTY_CONFIG, ...files.map((file) => file.text)])];
  const entry = (path: string, content: string) => ({
    path,
    bytes: Buffer.from(content),
    mode: 0o644,
    uid: 0,
    gid: 0,
  });
  return encodeTar([
    entry("oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" })),
    entry("index.json", JSON.stringify({ schemaVersion: 2, manifests: [top] })),
    ...blobs.map((blob) => {
      const [algorithm = "", hex = ""] = describe("", blob).digest.split(":");
      return entry(`blobs/${algorithm}/${hex}`, blob);
    }),
  ]);
};

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

const ociVersionOf = (given: string | undefined): OciVersion => {
  if (given === undefined || given === "1.1") return "1.1";
  if (given === "1.0") return given;
  throw new NaruError("invalid_argument", `"${given}" is no OCI version: "1.0" or "1.1"`);
};

const digestsFile = async (context: CliContext, { model }: Project): Promise<ArtifactFile> => {
  const images = await resolveDigests(context, model);
  const services = Object.entries(images.services).map(([name, { image }]) => [
    name,
    image === undefined ? {} : { image },
  ]);
  const shown = { name: "", services: Object.fromEntries(services) } as Model;
  return { kind: "compose", name: "image-digests.yaml", text: printYaml(shown) };
};

export const command = defineCommand({
  usage: "[OPTIONS] REPOSITORY[:TAG]",
  description:
    "Push the project's files to a registry, as an artifact that -f oci://REPOSITORY:TAG reads. Images that the project builds are pushed too.",
  flags: {
    app: unsupported("images are not copied into the repository: push them, or use naru copy"),
    "oci-version": text('Form of the manifest: "1.1", or "1.0" for old registries'),
    "resolve-image-digests": bool("Name images by the digests that their registries tell"),
    "with-env": bool("Publish environment and env_file too"),
    yes: bool("Do not ask", "y"),
  },
  args: ONE,
  run: async ({ context, flags, args }) => {
    const [target = ""] = args;
    const ociVersion = ociVersionOf(flags["oci-version"]);
    const options = { profiles: ["*"] };
    const project = await openProject(context, [], { ...options, isEnvironmentResolved: false });
    const { model } = project;
    const files = publishedFiles(project, flags["with-env"]);
    checkImages(model);
    if (!flags.yes && !flags["with-env"]) checkEnvironment(model);
    const warning = flags.yes ? undefined : warningOf(model, flags["with-env"]);
    if (warning !== undefined && !(await confirm(context, warning))) return 1;
    await pushImages(context, project, Object.keys(model.services), { goesOn: true });
    if (flags["resolve-image-digests"]) files.push(await digestsFile(context, project));
    const manifest = artifactManifest(files, { ociVersion, version: VERSION, createdAt: now() });
    const client = await context.client();
    const response = await client.call("imagePublish", {
      query: { target },
      headers: await registryAuthHeader(context, target),
      body: once(layoutOf(files, manifest)),
    });
    const { output } = context;
    await showProgress(response.body, { output, stream: "stdout", isQuiet: false });
    return 0;
  },
});
