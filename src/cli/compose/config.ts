import { openProject, loadOptions } from "#cli/compose/project.ts";
import { composeFlagsOf } from "#cli/compose/state.ts";
import type { CliContext } from "#cli/context.ts";
import { alignColumns } from "#cli/format/table.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { unsupported, bool, text } from "#cli/framework/flags.ts";
import { serviceHash } from "#compose/hash.ts";
import type { Model } from "#spec/compose/compose.ts";
import type { Project } from "#spec/compose/project.ts";
import { variablesOf } from "#spec/compose/interpolate.ts";
import { printJson, printYaml } from "#spec/compose/print.ts";
import { withServices, withoutUnused } from "#spec/compose/select.ts";
import { parseYaml } from "#spec/compose/yaml.ts";
import { NaruError } from "#lib/errors.ts";

const namesOf = (record: object | undefined): string[] => Object.keys(record ?? {}).toSorted();

const imagesOf = (model: Model): string[] =>
  Object.entries(model.services).map(([name, service]) => service.image ?? `${model.name}-${name}`);

const printVariables = async (context: CliContext): Promise<void> => {
  const { files, source } = await loadOptions(context);
  const uses = new Map(
    files.flatMap((file) =>
      parseYaml(file, source.read(file) ?? "")
        .flatMap((tree) => variablesOf(tree))
        .map((use) => [use.name, use]),
    ),
  );
  const rows = [...uses.values()]
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((use) => [use.name, String(use.isRequired), use.defaultValue, use.presenceValue]);
  const heads = ["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"];
  context.output.print(alignColumns([heads, ...rows].map((row) => row.join("\t"))));
};

const hashLines = (model: Model, wanted: string): string[] => {
  const names = wanted === "*" ? namesOf(model.services) : wanted.split(",");
  return names.map((name) => {
    const service = model.services[name];
    if (service === undefined) throw new NaruError("not_found", `no such service: "${name}"`);
    return `${name} ${serviceHash(service)}`;
  });
};

const listed = (
  project: Project,
  flags: Readonly<Record<"services" | "images" | "volumes" | "networks" | "profiles", boolean>>,
): readonly string[] | undefined => {
  const { model } = project;
  if (flags.services) return namesOf(model.services);
  if (flags.images) return imagesOf(model);
  if (flags.volumes) return namesOf(model.volumes);
  if (flags.networks) return namesOf(model.networks);
  if (!flags.profiles) return undefined;
  const all = [...Object.values(model.services), ...Object.values(project.disabled)];
  return [...new Set(all.flatMap((service) => service.profiles ?? []))].toSorted();
};

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    environment: bool("Print the variables that values were filled with"),
    format: text('Format the output: "yaml" or "json"', undefined, {
      completes: ["yaml", "json"],
      shownDefault: "yaml",
    }),
    hash: text('Print the config hash of services: names with commas, or "*"'),
    images: bool("Print the names of images, one a line"),
    "lock-image-digests": unsupported('name images by digest in the file: "image: name@sha256:…"'),
    networks: bool("Print the names of networks, one a line"),
    "no-env-resolution": bool("Leave env_file as it is"),
    "no-interpolate": bool("Leave variables as they are"),
    "no-consistency": unsupported("a model that does not hold together is always an error"),
    "no-normalize": unsupported("the model is always shown with its long forms"),
    output: text("Write to this file instead of standard output", "o", { completes: "files" }),
    profiles: bool("Print the names of profiles, one a line"),
    quiet: bool("Only check the files, print nothing", "q"),
    "resolve-image-digests": unsupported(
      'name images by digest in the file: "image: name@sha256:…"',
    ),
    services: bool("Print the names of services, one a line"),
    variables: bool("Print the variables the files name, with their defaults"),
    volumes: bool("Print the names of volumes, one a line"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    if (flags.variables) {
      await printVariables(context);
      return 0;
    }
    const whole = await openProject(context, args, {
      isInterpolated: !flags["no-interpolate"],
      isEnvironmentResolved: !flags["no-env-resolution"],
    });
    const model = withServices(whole.model, args);
    const project = { ...whole, model };
    if (flags.quiet) return 0;
    const lines = flags.environment
      ? Object.entries(project.environment).map(([key, value]) => `${key}=${value}`)
      : flags.hash === undefined
        ? listed(project, flags)
        : hashLines(model, flags.hash);
    const isWhole = composeFlagsOf(context)["all-resources"];
    const shown = isWhole ? model : withoutUnused(model);
    const isEscaped = !flags["no-interpolate"];
    const text =
      lines?.map((line) => `${line}\n`).join("") ??
      (flags.format === "json" ? printJson(shown, isEscaped) : printYaml(shown, isEscaped));
    if (flags.output === undefined) context.output.print(text);
    else await Bun.write(flags.output, text);
    return 0;
  },
});
