import { bringUp } from "#cli/compose/bring-up.ts";
import { openProject } from "#cli/compose/project.ts";
import { openStack } from "#cli/compose/stack.ts";
import { upOptions } from "#cli/compose/up-options.ts";
import { runAttached } from "#cli/container/run.ts";
import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool, enabled, list, text } from "#cli/framework/flags.ts";
import type { FlagValues } from "#cli/framework/flags.ts";
import { isInputTerminal } from "#cli/terminal/stdin.ts";
import type { Operation } from "#compose/compose.ts";
import { createContainer } from "#compose/containers.ts";
import { parseDotenv } from "#spec/compose/dotenv.ts";
import { parsePorts } from "#spec/compose/ports.ts";
import { cleanPath } from "#lib/path.ts";
import { parseVolume } from "#spec/compose/volumes.ts";
import { splitWords } from "#spec/compose/words.ts";
import type { Service, ServiceMount, ServicePort } from "#spec/compose/compose.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";

const runFlags = {
  build: bool("Build the image first"),
  "cap-add": list("Add Linux capabilities"),
  "cap-drop": list("Drop Linux capabilities"),
  detach: bool("Run in the background and print the container's name", "d"),
  entrypoint: text("Another entrypoint"),
  env: list("Set environment variables", "e"),
  "env-from-file": list("Read in a file of environment variables", undefined, {
    completes: "files",
  }),
  interactive: enabled("Keep STDIN open", { short: "i" }),
  label: list("Add labels", "l"),
  name: text("The container's name"),
  "no-TTY": bool("Do not allocate a pseudo-TTY", "T", { aliases: ["no-tty"] }),
  "no-deps": bool("Do not start the services this one depends on"),
  publish: list("Publish ports", "p"),
  pull: text("Pull images first"),
  quiet: bool("Do not show what is started", "q"),
  "quiet-build": bool("Do not show how images are built"),
  "quiet-pull": bool("Do not show how images are pulled"),
  "remove-orphans": bool("Remove containers of services that are not in the files"),
  rm: bool("Remove the container when it has stopped"),
  "service-ports": bool("Publish the service's own ports", "P"),
  tty: enabled("Allocate a pseudo-TTY where there is a terminal", { short: "t", isHidden: true }),
  "use-aliases": bool("Answer to the service's names on its networks"),
  user: text("Run as this user", "u"),
  volume: list("Mount a volume", "v"),
  workdir: text("Working directory inside the container", "w"),
};

type RunFlags = FlagValues<typeof runFlags>;

const portsOf = (texts: readonly string[]): ServicePort[] =>
  texts.flatMap((line) => {
    const parsed = parsePorts(line);
    if (typeof parsed !== "string") return [...parsed];
    throw new NaruError("invalid_argument", `"${line}" cannot be published: ${parsed}`);
  });

const mountsOf = (texts: readonly string[], folder: string): ServiceMount[] =>
  texts.map((line) => {
    const parsed = parseVolume(line);
    if (typeof parsed === "string") {
      throw new NaruError("invalid_argument", `"${line}" cannot be mounted: ${parsed}`);
    }
    const mount = parsed as unknown as ServiceMount;
    const source = mount.source;
    if (mount.type !== "bind" || source === undefined || source.startsWith("/")) return mount;
    return { ...mount, source: cleanPath(`${folder}/${source}`) };
  });

const environmentOf = (
  lines: readonly string[],
  shell: Readonly<Record<string, string | undefined>>,
): Record<string, string> =>
  Object.fromEntries(
    lines.flatMap((line) => {
      const cut = line.indexOf("=");
      if (cut >= 0) return [[line.slice(0, cut), line.slice(cut + 1)]];
      const value = shell[line];
      return value === undefined ? [] : [[line, value]];
    }),
  );

/** Later files override earlier ones. */
const environmentOfFiles = async (
  paths: readonly string[],
  shell: Readonly<Record<string, string | undefined>>,
): Promise<Record<string, string>> => {
  const found: Record<string, string> = {};
  for (const file of paths) {
    let text: string;
    try {
      // oxlint-disable-next-line no-await-in-loop -- later ones may use variables of earlier ones
      text = await Bun.file(file).text();
    } catch (cause) {
      throw new NaruError("not_found", `--env-from-file: the file "${file}" cannot be read`, {
        cause,
      });
    }
    const lookup = (name: string): string | undefined => shell[name] ?? found[name];
    Object.assign(found, parseDotenv(text, { file, lookup }));
  }
  return found;
};

/** Of this service alone, as its own container would wait: the run begins when they are ready. */
const awaitDependencies = (service: Service | undefined): Operation[] =>
  Object.entries(service?.depends_on ?? {}).flatMap(([other, { condition, required }]) =>
    condition === "service_started"
      ? []
      : [
          {
            id: `await:${other}`,
            kind: "await" as const,
            service: other,
            condition,
            isRequired: required !== false,
            needs: [],
            reason: "the run waits for it",
          },
        ],
  );

/** The service as this one run wants it: no name, no restart, ports only on request. */
const changed = (
  service: Service,
  flags: RunFlags,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
  isTty: boolean,
): Service => {
  const { ports, container_name: _name, restart: _restart, ...rest } = service;
  const own = flags["service-ports"] ? (ports ?? []) : [];
  const labels = Object.fromEntries(
    flags.label.map((line) => [line.split("=")[0] ?? "", line.split("=").slice(1).join("=")]),
  );
  return {
    ...rest,
    ports: [...own, ...portsOf(flags.publish)],
    tty: isTty,
    stdin_open: flags.interactive,
    environment: { ...service.environment, ...environment },
    labels: { ...service.labels, ...labels },
    volumes: [...(service.volumes ?? []), ...mountsOf(flags.volume, process.cwd())],
    cap_add: [...(service.cap_add ?? []), ...flags["cap-add"]],
    cap_drop: [...(service.cap_drop ?? []), ...flags["cap-drop"]],
    ...(words.length === 0 ? {} : { command: [...words] }),
    ...(flags.entrypoint === undefined
      ? {}
      : {
          entrypoint: splitWords(flags.entrypoint) ?? [flags.entrypoint],
          ...(words.length === 0 ? { command: [] } : {}),
        }),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(flags.workdir === undefined ? {} : { working_dir: flags.workdir }),
  };
};

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE [COMMAND] [ARGS...]",
  description:
    "Runs a command once in a new container of the service, after what it depends on is up.",
  flags: runFlags,
  args: AT_LEAST_ONE,
  isInterspersed: false,
  run: async ({ context, flags, args }) => {
    const [name = "", ...words] = args;
    const environment = {
      ...(await environmentOfFiles(flags["env-from-file"], context.env)),
      ...environmentOf(flags.env, context.env),
    };
    const project = await openProject(context, [name]);
    const { stack, screen } = await openStack(context, project, {
      isQuiet: flags.quiet,
      isPullQuiet: flags["quiet-pull"],
      isBuildQuiet: flags["quiet-build"] || flags.quiet,
    });
    using _owned = stack;
    const options = upOptions(context, project, [name], flags);
    const others = options.targets.filter((target) => target !== name);
    await bringUp(context, stack, screen, { ...options, targets: others, named: others });
    if (!flags["no-deps"]) {
      await stack.observe();
      await stack.run({ operations: awaitDependencies(stack.model.services[name]) });
    }
    const image = { ...options, targets: [name], isStarted: false };
    const { decideImagesUp, decideUp } = await import("#compose/decide.ts");
    await stack.run(decideImagesUp(stack.model, stack.observed, image));
    const observed = await stack.observe();
    const resources = decideUp(stack.model, observed, image).operations.filter(({ kind }) =>
      ["create-network", "remove-network", "create-volume"].includes(kind),
    );
    await stack.run({ operations: resources });
    await stack.observe();
    await screen.finish();
    const isTerminal = (await isInputTerminal()) && (await context.output.isTerminal("stdout"));
    const isTty = flags.tty && !flags["no-TTY"] && !flags.detach && isTerminal;
    const slug = randomHex(32);
    const containerName = flags.name ?? `${project.model.name}-${name}-run-${slug.slice(0, 12)}`;
    const id = await createContainer(stack, name, {
      number: 0,
      containerName,
      oneOff: { slug, isRemoved: flags.rm && flags.detach },
      hasAliases: flags["use-aliases"],
      change: (service) => changed(service, flags, words, environment, isTty),
    });
    const { client } = stack.options;
    if (flags.detach) {
      await client.call("containerStart", { id });
      context.output.line(id);
      return 0;
    }
    try {
      return await runAttached({
        context,
        client,
        id,
        request: {
          Tty: isTty,
          AttachStdin: flags.interactive,
          AttachStdout: true,
          AttachStderr: true,
        },
        isRemoved: false,
        hasSignalProxy: true,
        detachKeys: (await context.config()).detachKeys ?? "",
      });
    } finally {
      if (flags.rm) await client.call("containerRemove", { id, query: { force: true, v: true } });
    }
  },
});
