import { chooseContainers } from "#cli/compose/chosen.ts";
import { LogView, shortName } from "#cli/compose/log-view.ts";
import { parseMoment } from "#cli/format/moment.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, integer, text } from "#cli/framework/flags.ts";
import type { ContainerEvent } from "#compose/events.ts";
import { untilSeen } from "#compose/events.ts";
import { LABEL } from "#compose/labels.ts";
import type { Stack } from "#compose/stack.ts";
import { NaruError, hasCode } from "#lib/errors.ts";

const seconds = (ns: number): string => {
  const text = String(ns).padStart(10, "0");
  return `${text.slice(0, -9)}.${text.slice(-9)}`;
};

/** Until the last of them has ended for good: one that is restarted goes on. */
class Following {
  readonly #stack: Stack;
  readonly #view: LogView;
  readonly #open = new Map<string, Promise<void>>();
  /** When a container ended last: its next lines may be older than its start's event. */
  readonly #ended = new Map<string, string>();
  #isCut = false;

  constructor(stack: Stack, view: LogView) {
    this.#stack = stack;
    this.#view = view;
  }

  follow(id: string, since?: string): void {
    const before = this.#open.get(id) ?? Promise.resolve();
    const show = async (): Promise<void> => {
      await before;
      await this.#view.show(id, since);
      const isOver = (): boolean => this.#isCut || this.#open.get(id) !== one;
      await untilSeen(this.#stack.events, new Set([id]), async () =>
        isOver() || !(await this.#comesBack(id)) ? true : undefined,
      );
    };
    const one = show().finally(() => {
      if (this.#open.get(id) === one) this.#open.delete(id);
    });
    this.#open.set(id, one);
  }

  /** Its start may be on its way here. */
  async #comesBack(id: string): Promise<boolean> {
    try {
      const { State } = await this.#stack.options.client.call("containerInspect", { id });
      return State.Running || State.Restarting;
    } catch (error) {
      if (hasCode(error, "not_found")) return false;
      throw error;
    }
  }

  hear(event: ContainerEvent | undefined): void {
    if (event === undefined) {
      this.#isCut = true;
      return;
    }
    const { ID: id, Attributes: attributes } = event.Actor;
    if (event.Action === "die") this.#ended.set(id, seconds(event.timeNano));
    if (event.Action !== "start") return;
    const name = (attributes["name"] ?? "").replace(`${this.#stack.model.name}-`, "");
    this.#view.add(id, name);
    this.follow(id, this.#ended.get(id) ?? String(event.time));
  }

  async over(): Promise<void> {
    while (this.#open.size > 0) {
      // oxlint-disable-next-line no-await-in-loop -- others may begin meanwhile
      await Promise.race(this.#open.values());
    }
  }
}

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
    const { stack, containers, isMeant } = await chooseContainers(context, args);
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
    if (shown.length === 0 && flags.index !== undefined) {
      const what = `no container number ${String(flags.index)}`;
      throw new NaruError("not_found", `there is ${what} of ${args.join(", ") || "any service"}`);
    }
    for (const container of shown) view.add(container.id, shortName(container, stack.model.name));
    if (!flags.follow) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as they are listed
      for (const container of shown) await view.show(container.id);
      return 0;
    }
    const isFollowed = (event: ContainerEvent): boolean => {
      const labels = event.Actor.Attributes;
      if (labels[LABEL.oneOff] === "True" || !isMeant(labels[LABEL.service] ?? "")) return false;
      return flags.index === undefined || labels[LABEL.number] === String(flags.index);
    };
    const following = new Following(stack, view);
    await stack.events.ready();
    const stop = stack.events.subscribe((event) => {
      if (event === undefined || isFollowed(event)) following.hear(event);
    });
    try {
      for (const container of shown) following.follow(container.id);
      await following.over();
    } finally {
      stop();
    }
    return 0;
  },
});
