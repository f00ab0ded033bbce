import { chooseContainers } from "#cli/compose/chosen.ts";
import { LogView, shortName } from "#cli/compose/log-view.ts";
import { parseMoment } from "#cli/format/moment.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, integer, text } from "#cli/framework/flags.ts";
import { LABEL } from "#compose/labels.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    follow: bool("Follow log output", "f"),
    index: integer("Only the container with this number"),
    "no-color": bool("Show names without colours"),
    "no-log-prefix": bool("Show lines without names"),
    since: text('Show logs since a moment ("2026-01-02T13:23:37Z") or a time ago ("42m")'),
    tail: text("Number of lines to show from the end of each log", "n", { shownDefault: '"all"' }),
    timestamps: bool("Show timestamps", "t"),
    until: text("Show logs before a moment or a time ago"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const { stack, containers } = await chooseContainers(context, args);
    using _owned = stack;
    const { client } = stack.options;
    const hasColor = !flags["no-color"] && (await context.output.isTerminal("stdout"));
    const view = new LogView(context, client, {
      isFollowed: flags.follow,
      tail: flags.tail,
      since: flags.since === undefined ? undefined : parseMoment(flags.since),
      until: flags.until === undefined ? undefined : parseMoment(flags.until),
      hasTimestamps: flags.timestamps,
      hasPrefix: !flags["no-log-prefix"],
      hasColor,
      isOneStream: true,
    });
    const shown = containers.filter(
      (container) => flags.index === undefined || container.number === flags.index,
    );
    for (const container of shown) view.add(container.id, shortName(container, stack.model.name));
    if (!flags.follow) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as they are listed
      for (const container of shown) await view.show(container.id);
      return 0;
    }
    const open = new Set<Promise<void>>();
    const follow = (id: string, since?: string): void => {
      const one = view.show(id, since).finally(() => open.delete(one));
      open.add(one);
    };
    await stack.events.ready();
    const stop = stack.events.subscribe((event) => {
      const service = event?.Actor.Attributes[LABEL.service] ?? "";
      if (event?.Action !== "start" || (args.length > 0 && !args.includes(service))) return;
      if (event.Actor.Attributes[LABEL.oneOff] === "True") return;
      const name = (event.Actor.Attributes["name"] ?? "").replace(`${stack.model.name}-`, "");
      view.add(event.Actor.ID, name);
      follow(event.Actor.ID, `${String(event.time)}`);
    });
    try {
      for (const container of shown) follow(container.id);
      while (open.size > 0) {
        // oxlint-disable-next-line no-await-in-loop -- others may begin meanwhile
        await Promise.race(open);
      }
    } finally {
      stop();
    }
    return 0;
  },
});
