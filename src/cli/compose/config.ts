import { openProject } from "#cli/compose/project.ts";
import { resolveDigests } from "#cli/compose/digests.ts";
import { composeFlagsOf } from "#cli/compose/state.ts";
import type { CliContext } from "#cli/context.ts";
import { alignColumns } from "#cli/format/table.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { serviceHash } from "#compose/hash.ts";
import type { Model } from "#spec/compose/compose.ts";
import { goYaml } from "#spec/compose/go-yaml.ts";
import type { VariableUse } from "#spec/compose/interpolate.ts";
import { variablesOf } from "#spec/compose/interpolate.ts";
import { fromPlain } from "#spec/compose/node.ts";
import type { LoadOptions, Project } from "#spec/compose/project.ts";
import { goJson, printAsWritten, printJson, printYaml } from "#spec/compose/print.ts";
import { withServices, withoutUnused } from "#spec/compose/select.ts";
import { NaruError } from "#lib/errors.ts";

const namesOf = (record: object | undefined): string[] => Object.keys(record ?? {}).toSorted();

const imagesOf = (model: Model): string[] =>
  Object.entries(model.services).map(([name, service]) => service.image ?? `${model.name}-${name}`);

const TABLE_WIDTH = 20;

const variableRows = (uses: readonly VariableUse[]): string => {
  const rows = uses.map((use) => [
    use.name,
    String(use.isRequired),
    use.defaultValue,
    use.presenceValue,
  ]);
  const heads = ["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"];
  return alignColumns(
    [heads, ...rows].map((row) => row.join("\t")),
    TABLE_WIDTH,
  );
};

const variablesText = async (context: CliContext, format: string | undefined): Promise<string> => {
  const { model } = await openProject(context, [], {
    isInterpolated: false,
    isEnvironmentResolved: false,
    isChecked: false,
  });
  const { name: _name, ...rest } = model;
  const uses = variablesOf(fromPlain(rest, { place: { file: "", line: 0 } })).toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  if (format === undefined) return variableRows(uses);
  const shown = uses.map((use) => [
    use.name,
    {
      Name: use.name,
      DefaultValue: use.defaultValue,
      PresenceValue: use.presenceValue,
      Required: use.isRequired,
    },
  ]);
  if (format === "json") return `${goJson(Object.fromEntries(shown), 4)}\n`;
  return goYaml(Object.fromEntries(shown));
};

const hashLines = (model: Model, wanted: string): string[] => {
  const names = wanted === "*" ? namesOf(model.services) : wanted.split(",").toSorted();
  return names.map((name) => {
    const service = model.services[name];
    if (service === undefined) throw new NaruError("not_found", `no such service: "${name}"`);
    return `${name} ${serviceHash(service)}`;
  });
};

type Listing = "services" | "volumes" | "networks" | "models" | "hash" | "profiles" | "images";

interface Chosen {
  readonly whole: Project;
  /** Of the services that were named, without what none of them uses. */
  readonly model: Model;
  /** The same of all services. */
  readonly all: Model;
}

const listings: Readonly<Record<Exclude<Listing, "hash">, (chosen: Chosen) => readonly string[]>> =
  {
    services: ({ all }) => namesOf(all.services),
    volumes: ({ all }) => namesOf(all.volumes),
    networks: ({ all }) => namesOf(all.networks),
    models: ({ all }) =>
      Object.values(all.models ?? {}).flatMap((model) => {
        const name: unknown = Reflect.get(Object(model), "model");
        return typeof name === "string" ? [name] : [];
      }),
    images: ({ model }) => imagesOf(model),
    profiles: ({ whole, model }) => {
      const every = [...Object.values(model.services), ...Object.values(whole.disabled)];
      return [...new Set(every.flatMap((service) => service.profiles ?? []))].toSorted();
    },
  };

type Flags = Readonly<
  Record<Exclude<Listing, "hash"> | "environment" | "no-interpolate", boolean> & {
    hash: string | undefined;
  }
>;

/** In the order in which the reference tool looks at them, when several are given. */
const ORDER: readonly Listing[] = [
  "services",
  "volumes",
  "networks",
  "models",
  "hash",
  "profiles",
  "images",
];

const listed = async (
  context: CliContext,
  args: readonly string[],
  flags: Flags,
): Promise<readonly string[] | undefined> => {
  const kind = ORDER.find((name) => flags[name] !== undefined && flags[name] !== false);
  if (kind === undefined) return undefined;
  const isOfNamed = kind === "images" || kind === "profiles";
  const named = isOfNamed ? args : [];
  const whole = await openProject(context, named, {
    isInterpolated: !flags["no-interpolate"],
    isEnvironmentResolved: false,
  });
  const hasUnused = composeFlagsOf(context)["all-resources"];
  const used = (model: Model): Model => (hasUnused ? model : withoutUnused(model));
  const chosen = {
    whole,
    all: used(whole.model),
    model: used(withServices(whole.model, named)),
  };
  return kind === "hash" ? hashLines(chosen.all, flags.hash ?? "*") : listings[kind](chosen);
};

/** What `--lock-image-digests` leaves: a file to put over the others. */
const imagesOnly = (model: Model): Model => ({
  name: "",
  services: Object.fromEntries(
    Object.entries(model.services).map(([name, { image }]) => [
      name,
      image === undefined ? {} : { image },
    ]),
  ),
});

const shownModel = async (
  context: CliContext,
  args: readonly string[],
  changes: Partial<LoadOptions>,
): Promise<Model> => {
  const { model } = await openProject(context, args, changes);
  const chosen = withServices(model, args);
  return composeFlagsOf(context)["all-resources"] ? chosen : withoutUnused(chosen);
};

/** All that is written, whatever profiles are on. */
const wholeModel = async (context: CliContext, changes: Partial<LoadOptions>): Promise<Model> => {
  const options = { ...changes, profiles: ["*"], isEnvironmentResolved: false };
  return withoutEmpty((await openProject(context, [], options)).model);
};

const withoutEmpty = (model: Model): Model => {
  const isFull = ([key, value]: readonly [string, unknown]): boolean =>
    typeof value !== "object" ||
    value === null ||
    Object.keys(value).length > 0 ||
    key === "services";
  return Object.fromEntries(Object.entries(model).filter(isFull)) as unknown as Model;
};

const FORMATS = ["yaml", "json"];

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    environment: bool("Print the variables that values were filled with"),
    format: text('Format the output: "yaml" or "json"', undefined, {
      completes: FORMATS,
      shownDefault: "yaml",
    }),
    hash: text('Print the config hash of services: names with commas, or "*"'),
    images: bool("Print the names of images, one a line"),
    "lock-image-digests": bool("Print a file that names the images by digest, and nothing else"),
    models: bool("Print the names of models, one a line"),
    networks: bool("Print the names of networks, one a line"),
    "no-consistency": bool("Do not ask whether the whole holds together"),
    "no-env-resolution": bool("Leave env_file as it is"),
    "no-interpolate": bool("Leave variables as they are"),
    "no-normalize": bool("Leave out names, networks and dependencies that follow from others"),
    "no-path-resolution": bool("Leave paths as they are"),
    output: text("Write to this file instead of standard output", "o", { completes: "files" }),
    profiles: bool("Print the names of profiles, one a line"),
    quiet: bool("Only check the files, print nothing", "q"),
    "resolve-image-digests": bool("Name images by the digests that their registries tell"),
    services: bool("Print the names of services, one a line"),
    variables: bool("Print the variables the files name, with their defaults"),
    volumes: bool("Print the names of volumes, one a line"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const { format } = flags;
    if (format !== undefined && !FORMATS.includes(format)) {
      throw new NaruError("invalid_argument", `"${format}" is no format: "yaml" or "json"`);
    }
    const changes: Partial<LoadOptions> = {
      isInterpolated: !flags["no-interpolate"],
      isPathResolved: !flags["no-path-resolution"],
      isNormalized: !flags["no-normalize"],
      isChecked: !flags["no-consistency"],
    };
    const print = (lines: readonly string[]): void => {
      if (!flags.quiet) context.output.print(lines.map((line) => `${line}\n`).join(""));
    };
    const lines = await listed(context, args, flags);
    if (lines !== undefined) {
      print(lines);
      return 0;
    }
    if (flags.variables) {
      const shown = await variablesText(context, format);
      if (!flags.quiet) context.output.print(shown);
      return 0;
    }
    if (flags.environment) {
      const { environment } = await openProject(context, args, changes);
      print(Object.entries(environment).map(([key, value]) => `${key}=${value}`));
      return 0;
    }
    const isAsWritten = flags["no-interpolate"];
    const isEnvironmentResolved = !flags["no-env-resolution"] && !isAsWritten;
    let model = isAsWritten
      ? await wholeModel(context, changes)
      : await shownModel(context, args, { ...changes, isEnvironmentResolved });
    if (flags["resolve-image-digests"] || flags["lock-image-digests"]) {
      model = await resolveDigests(context, model);
    }
    if (flags["lock-image-digests"]) model = imagesOnly(model);
    if (flags.quiet) return 0;
    const shown = isAsWritten
      ? printAsWritten(model, format === "json" ? "json" : "yaml")
      : format === "json"
        ? printJson(model)
        : printYaml(model);
    if (flags.output === undefined) context.output.print(shown);
    else await Bun.write(flags.output, shown);
    return 0;
  },
});
