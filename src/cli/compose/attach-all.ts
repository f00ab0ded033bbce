/** `up` with the containers' output on the terminal, until they have all stopped or Ctrl-C. */
import type { CliContext } from "#cli/context.ts";
import { bringUp } from "#cli/compose/bring-up.ts";
import { LogView, shortName } from "#cli/compose/log-view.ts";
import type { Screen } from "#cli/compose/screen.ts";
import { stopProject } from "#cli/compose/stop-project.ts";
import type { Plan } from "#compose/compose.ts";
import type { ContainerEvent } from "#compose/events.ts";
import type { UpOptions } from "#compose/decide.ts";
import { scaleOf } from "#compose/names.ts";
import { LABEL } from "#compose/labels.ts";
import type { Stack } from "#compose/stack.ts";
import { nowNs } from "#lib/clock.ts";
import { hasCode } from "#lib/errors.ts";

export interface AttachOptions {
  readonly shown: readonly string[];
  readonly hidden: readonly string[];
  readonly hasDependencies: boolean;
  readonly hasTimestamps: boolean;
  readonly hasPrefix: boolean;
  readonly hasColor: boolean;
  readonly exitFrom: string | undefined;
  readonly stopsOnExit: boolean;
  readonly stopsOnFailure: boolean;
}

const INTERRUPTED = 130;

/** The exit code that ends the whole: of the first that stopped. */
interface Ending {
  readonly exitCode: number;
  readonly isInterrupted: boolean;
}

const seconds = (ns: bigint): string =>
  `${String(ns / 1_000_000_000n)}.${String(ns % 1_000_000_000n).padStart(9, "0")}`;

class Attached {
  readonly #stack: Stack;
  readonly #view: LogView;
  readonly #options: AttachOptions;
  readonly #targets: ReadonlySet<string>;
  readonly #named: readonly string[];
  readonly #logs = new Map<string, Promise<void>>();
  readonly #running = new Set<string>();
  /** Whose start was heard of, until its end is. */
  readonly #heard = new Set<string>();
  /** Whose start was heard of, and whose is still to come: a short one may have ended by now. */
  readonly #started = new Set<string>();
  readonly #expected = new Set<string>();
  readonly ending = Promise.withResolvers<Ending>();
  /** Where a container's log was read to; its first lines may be older than its start's event. */
  readonly #seen = new Map<string, string>();
  readonly #began: string;
  #isUp = false;

  constructor(stack: Stack, view: LogView, options: AttachOptions, up: UpOptions, began: string) {
    this.#began = began;
    this.#stack = stack;
    this.#view = view;
    this.#options = options;
    this.#targets = new Set(up.targets);
    this.#named = up.named;
  }

  /** As docker compose: dependencies of the services that were named run in silence. */
  #isShown(service: string): boolean {
    const { shown, hidden, hasDependencies } = this.#options;
    if (hidden.includes(service)) return false;
    if (shown.length > 0) return shown.includes(service);
    if (this.#stack.model.services[service]?.attach === false) return false;
    return this.#named.length === 0 || hasDependencies || this.#named.includes(service);
  }

  /** Whose end counts: of the services that were named, else of those that are shown. */
  #isWatched(service: string): boolean {
    return this.#named.length > 0 ? this.#named.includes(service) : this.#isShown(service);
  }

  began(id: string, name: string, service: string): void {
    const since = this.#seen.get(id) ?? this.#began;
    if (this.#isWatched(service)) this.#running.add(id);
    // Its start may be heard of twice: by its event and by a look at what runs.
    if (this.#heard.has(id)) return;
    this.#heard.add(id);
    if (!this.#isShown(service)) return;
    this.#view.add(id, name);
    const before = this.#logs.get(id) ?? Promise.resolve();
    const shown = before.then(() => this.#view.show(id, since));
    // A container without readable logs is no reason to stop the others; that nobody reads is.
    this.#logs.set(
      id,
      shown.catch((error: unknown) => this.#unwritten(error)),
    );
  }

  /** The containers run on, as they do when SIGPIPE ends docker compose. */
  #unwritten(error: unknown): void {
    if (hasCode(error, "aborted")) this.ending.reject(error);
  }

  async #ended(id: string, service: string, exitCode: number): Promise<void> {
    this.#running.delete(id);
    this.#heard.delete(id);
    await this.#logs.get(id);
    if (this.#isShown(service)) {
      await this.#view.exited(id, exitCode).catch((error: unknown) => this.#unwritten(error));
    }
    const { stopsOnExit, stopsOnFailure } = this.#options;
    const isEnd = stopsOnExit || (stopsOnFailure && exitCode !== 0);
    if (isEnd && this.#isWatched(service)) this.ending.resolve({ exitCode, isInterrupted: true });
    else this.#lookForEnd();
  }

  #lookForEnd(): void {
    if (this.#isUp && this.#running.size === 0 && this.#expected.size === 0) {
      this.ending.resolve({ exitCode: 0, isInterrupted: false });
    }
  }

  /** Takes in what runs already. */
  async look(): Promise<void> {
    const { name } = this.#stack.model;
    for (const container of await this.#stack.containers()) {
      const isMeant = this.#targets.has(container.service) && !container.isOneOff;
      if (!isMeant || container.state !== "running") continue;
      this.began(container.id, shortName(container, name), container.service);
    }
  }

  /** From now on an empty stage is the end. Events may come later than the engine's answers. */
  async isUp(plan: Plan): Promise<void> {
    await this.look();
    for (const operation of plan.operations) {
      if (operation.kind !== "start") continue;
      const { container, service, number } = operation;
      const id = container?.id ?? this.#stack.made.get(`${service}:${String(number)}`);
      const isMissing = id !== undefined && !this.#started.has(id);
      if (isMissing && this.#isWatched(service)) this.#expected.add(id);
    }
    this.#isUp = true;
    this.#lookForEnd();
  }

  hear(event: ContainerEvent | undefined): void {
    if (event === undefined) {
      this.ending.resolve({ exitCode: 1, isInterrupted: false });
      return;
    }
    const { ID: id, Attributes: attributes } = event.Actor;
    const service = attributes[LABEL.service] ?? "";
    if (!this.#targets.has(service) || attributes[LABEL.oneOff] === "True") return;
    const { name } = this.#stack.model;
    const own = (attributes["name"] ?? "").replace(/^[0-9a-f]{12}_/, "");
    const shown = own.startsWith(`${name}-`) ? own.slice(name.length + 1) : own;
    if (event.Action === "start") {
      this.#started.add(id);
      this.#expected.delete(id);
      this.began(id, shown, service);
    } else if (event.Action === "die") {
      this.#seen.set(id, seconds(BigInt(event.timeNano)));
      void this.#ended(id, service, Number(attributes["exitCode"] ?? 0));
    }
  }

  async settled(): Promise<void> {
    await Promise.race([Promise.all(this.#logs.values()), Bun.sleep(2000)]);
  }
}

/** The first Ctrl-C asks, the second kills. */
const onInterrupt = (act: (isSecond: boolean) => void): (() => void) => {
  let count = 0;
  const listener = (): void => {
    count += 1;
    act(count > 1);
  };
  process.on("SIGINT", listener);
  process.on("SIGTERM", listener);
  return () => {
    process.off("SIGINT", listener);
    process.off("SIGTERM", listener);
  };
};

const killAll = async (stack: Stack): Promise<void> => {
  const { client } = stack.options;
  const containers = await stack.containers();
  await Promise.allSettled(
    containers
      .filter((container) => container.state === "running" && !container.isOneOff)
      .map((container) => client.call("containerKill", { id: container.id })),
  );
};

/** How a service's first container ended. */
const exitCodeOf = async (stack: Stack, service: string): Promise<number> => {
  const all = await stack.containers();
  const container = all.find((one) => one.service === service && !one.isOneOff);
  if (container === undefined) return 0;
  const { State } = await stack.options.client.call("containerInspect", { id: container.id });
  return State.ExitCode;
};

export const attachAll = async (
  context: CliContext,
  stack: Stack,
  screen: Screen,
  up: UpOptions,
  options: AttachOptions,
): Promise<number> => {
  const began = seconds(nowNs());
  const hasColor = options.hasColor && (await context.output.isTerminal("stdout"));
  const view = new LogView(context, stack.options.client, {
    isFollowed: true,
    hasTimestamps: options.hasTimestamps,
    hasPrefix: options.hasPrefix,
    hasColor,
  });
  const attached = new Attached(stack, view, options, up, began);
  for (const name of up.targets) {
    const service = stack.model.services[name];
    const count = service === undefined ? 0 : scaleOf(service);
    if (count > 0) view.reserve(service?.container_name ?? `${name}-${String(count)}`);
  }
  await stack.events.ready();
  await attached.look();
  using cleanup = new DisposableStack();
  cleanup.defer(stack.events.subscribe((event) => attached.hear(event)));
  cleanup.defer(
    onInterrupt((isSecond) => {
      if (isSecond) void killAll(stack);
      attached.ending.resolve({ exitCode: INTERRUPTED, isInterrupted: true });
    }),
  );
  const bringing = bringUp(context, stack, screen, up).then((plan) => attached.isUp(plan));
  const ending = await Promise.race([
    attached.ending.promise,
    bringing.then(() => attached.ending.promise),
  ]);
  if (ending.isInterrupted) {
    stack.halt();
    // What had begun is there or not when this is over: only then is known what has to stop.
    await bringing.catch(() => undefined);
    await context.output.write("stderr", "Gracefully stopping... (press Ctrl+C again to force)\n");
    await stopProject(stack, screen, up.targets);
  }
  await attached.settled();
  if (options.exitFrom === undefined || ending.exitCode === INTERRUPTED) return ending.exitCode;
  return await exitCodeOf(stack, options.exitFrom);
};
