import { bringUp } from "#cli/compose/bring-up.ts";
import { openProject } from "#cli/compose/project.ts";
import { openStack } from "#cli/compose/stack.ts";
import { upOptions } from "#cli/compose/up-options.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { volumeLabels } from "#compose/execute.ts";
import type { Stack } from "#compose/stack.ts";
import type { Model, Service } from "#spec/compose/compose.ts";
import { NaruError } from "#lib/errors.ts";

/** A copy cannot have the same name and the same ports on the same machine. */
const freed = (service: Service, keepsPorts: boolean): Service => {
  const { container_name: _name, ports, ...rest } = service;
  if (ports === undefined) return rest;
  const free = ports.map(({ published: _published, ...port }) => port);
  return { ...rest, ports: keepsPorts ? ports : free };
};

const copyVolumes = async (stack: Stack, from: Model, isLive: boolean): Promise<void> => {
  const { client } = stack.options;
  const observed = await stack.observe(true);
  for (const [key, volume] of Object.entries(stack.model.volumes ?? {})) {
    const source = from.volumes?.[key];
    if (volume.external === true || source === undefined || source.name === volume.name) continue;
    if (!observed.volumes.has(source.name) || observed.volumes.has(volume.name)) continue;
    const subject = `Volume ${volume.name}`;
    stack.tell({ subject, status: "Copying", phase: "begin" });
    // oxlint-disable-next-line no-await-in-loop -- one after the other: each pauses its writers
    await client.call("volumeClone", {
      name: source.name,
      query: { pause: isLive ? "0" : "1" },
      body: { Name: volume.name, Labels: volumeLabels(key, volume, stack.model.name) },
    });
    stack.tell({ subject, status: "Copied", phase: "done" });
  }
};

export const command = defineCommand({
  usage: "[OPTIONS] NEW_NAME",
  description:
    "Brings up a second project from the same files: with a network and containers of its own, and with " +
    "copies of the volumes as they are now. Ports are published on free ones.",
  examples: [
    "naru compose clone try-it",
    "naru compose -p try-it port web 80",
    "naru compose -p try-it down -v",
  ],
  flags: {
    "keep-ports": bool("Publish the same ports: the original must be down"),
    live: bool("Let containers write to the volumes while they are copied"),
    "no-start": bool("Create the containers and leave them stopped"),
  },
  args: ONE,
  run: async ({ context, flags, args }) => {
    const [name = ""] = args;
    const original = await openProject(context);
    if (original.model.name === name) {
      throw new NaruError("invalid_argument", `"${name}" is the project itself; name the copy`);
    }
    const copy = await openProject(context, [], { name });
    const services = Object.fromEntries(
      Object.entries(copy.model.services).map(([key, service]) => [
        key,
        freed(service, flags["keep-ports"]),
      ]),
    );
    const project = { ...copy, model: { ...copy.model, services } };
    const { stack, screen } = await openStack(context, project);
    using _owned = stack;
    if ((await stack.containers()).length > 0) {
      throw new NaruError(
        "already_exists",
        `the project "${name}" has containers already; 'naru compose -p ${name} down' removes them`,
      );
    }
    try {
      await copyVolumes(stack, original.model, flags.live);
    } finally {
      await screen.finish();
    }
    await bringUp(context, stack, screen, upOptions(context, project, [], flags));
    return 0;
  },
});
