/** `watch`: what changes in the sources goes into the containers, by the rules of `develop.watch`. */
import { statSync, watch } from "node:fs";
import type { CliContext } from "#cli/context.ts";
import { bringUp } from "#cli/compose/bring-up.ts";
import { buildService, leftOutOf } from "#cli/compose/build-service.ts";
import type { Screen } from "#cli/compose/screen.ts";
import { filesBelow, sortChanges } from "#cli/compose/watch-files.ts";
import { errorText } from "#cli/report.ts";
import { DEFAULT_UP } from "#compose/decide.ts";
import { runHooks } from "#compose/hooks.ts";
import { imageOf } from "#compose/names.ts";
import { observeImage } from "#compose/observe.ts";
import type { Stack } from "#compose/stack.ts";
import { encodeTar } from "#compose/tar.ts";
import type { Change, WatchedRule } from "#compose/watch.ts";
import { matchChanges } from "#compose/watch.ts";
import { sleep } from "#lib/clock.ts";
import { NaruError, hasCode } from "#lib/errors.ts";

/** Editors write in several steps: changes that come together are one. */
const SETTLE_MS = 100;

const rulesOf = async (stack: Stack, named: readonly string[]): Promise<WatchedRule[]> => {
  const chosen = Object.entries(stack.model.services).filter(
    ([service]) => named.length === 0 || named.includes(service),
  );
  const rules = chosen.map(async ([service, { develop, build }]) => {
    const leftOut = build === undefined ? undefined : await leftOutOf(build);
    return (develop?.watch ?? []).map((rule) => ({
      service,
      rule,
      ...(leftOut === undefined ? {} : { leftOut }),
    }));
  });
  return (await Promise.all(rules)).flat();
};

class Watcher {
  readonly #context: CliContext;
  readonly #stack: Stack;
  readonly #screen: Screen;
  readonly #rules: readonly WatchedRule[];
  readonly #isPruning: boolean;
  readonly #changed = new Set<string>();
  #wake: (() => void) | undefined;

  constructor(
    context: CliContext,
    stack: Stack,
    screen: Screen,
    rules: readonly WatchedRule[],
    isPruning: boolean,
  ) {
    this.#isPruning = isPruning;
    this.#context = context;
    this.#stack = stack;
    this.#screen = screen;
    this.#rules = rules;
  }

  /** The undo ends the watching. */
  open(): () => void {
    const roots = [...new Set(this.#rules.map(({ rule }) => rule.path))];
    const watchers = roots.map((root) => {
      const isFolder = statSync(root, { throwIfNoEntry: false })?.isDirectory();
      if (isFolder === undefined) {
        throw new NaruError("not_found", `"${root}" is to be watched, but it is not there`);
      }
      // A file is watched by its folder: editors put a new one in its place.
      const folder = isFolder ? root : root.slice(0, root.lastIndexOf("/")) || "/";
      return watch(folder, { recursive: isFolder, persistent: true }, (_event, name) => {
        if (name !== null) this.#notice(`${folder}/${name}`);
      });
    });
    return () => {
      for (const watcher of watchers) watcher.close();
      this.#wake?.();
    };
  }

  #notice(path: string): void {
    this.#changed.add(path);
    this.#wake?.();
  }

  async initialSync(): Promise<void> {
    const first = this.#rules.filter(({ rule }) => rule.initial_sync === true);
    const paths = first.flatMap(({ rule }) => filesBelow(rule.path));
    if (paths.length > 0) await this.#apply(matchChanges(first, paths));
  }

  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#wake?.();
    signal.addEventListener("abort", stop, { once: true });
    while (!signal.aborted) {
      if (this.#changed.size === 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
        continue;
      }
      await sleep(SETTLE_MS);
      const paths = [...this.#changed];
      this.#changed.clear();
      await this.#apply(matchChanges(this.#rules, paths));
    }
  }

  async #say(text: string): Promise<void> {
    await this.#context.output.write("stderr", `${text}\n`);
  }

  async #apply(changes: readonly Change[]): Promise<void> {
    for (const service of new Set(changes.map((change) => change.service))) {
      const own = changes.filter((change) => change.service === service);
      try {
        if (own.some((change) => change.rule.action === "rebuild")) await this.#rebuild(service);
        else await this.#sync(service, own);
      } catch (error) {
        // A source that does not compile is what watching is for: the next change may mend it. The
        // other services have their changes all the same.
        await this.#say(`service "${service}": ${errorText(error)}`);
      }
    }
  }

  async #rebuild(service: string): Promise<void> {
    await this.#say(`Rebuilding "${service}" after changes were detected...`);
    const image = imageOf(this.#stack.model, service);
    const before = await observeImage(this.#stack.options.client, image);
    await buildService(this.#context, this.#stack.options.project, service, image);
    this.#stack.made.clear();
    await bringUp(this.#context, this.#stack, this.#screen, {
      ...DEFAULT_UP,
      targets: [service],
      named: [service],
      build: "never",
    });
    if (before !== undefined && this.#isPruning) await this.#prune(before);
    await this.#say(`service "${service}" successfully built`);
  }

  /** The image before, unless it has a name or something else uses it. */
  async #prune(name: string): Promise<void> {
    const { client } = this.#stack.options;
    try {
      const { RepoTags } = await client.call("imageInspect", { name });
      if ((RepoTags ?? []).length === 0) await client.call("imageRemove", { name });
    } catch (error) {
      if (!hasCode(error, "not_found") && !hasCode(error, "conflict")) throw error;
    }
  }

  async #sync(service: string, changes: readonly Change[]): Promise<void> {
    const { client } = this.#stack.options;
    const containers = (await this.#stack.containers()).filter(
      (item) => item.service === service && !item.isOneOff && item.state === "running",
    );
    const { files, links, gone } = sortChanges(changes);
    const actions = new Set(changes.map((change) => change.rule.action));
    for (const { id } of containers) {
      if (files.length + links.length > 0) await this.#copy(id, encodeTar(files, links));
      if (gone.length > 0) await runHooks(this.#stack, id, [{ command: ["rm", "-rf", ...gone] }]);
      for (const { rule } of changes) {
        if (rule.action !== "sync+exec" || rule.exec === undefined) continue;
        await runHooks(this.#stack, id, [rule.exec]);
      }
      if (actions.has("restart") || actions.has("sync+restart")) {
        await client.call("containerRestart", { id });
      }
    }
    const count = files.length + links.length + gone.length;
    if (count > 0) await this.#say(`Synced ${String(count)} changes into "${service}"`);
    if (actions.has("restart") || actions.has("sync+restart")) {
      await this.#say(`service "${service}" restarted`);
    }
  }

  async #copy(id: string, archive: Uint8Array): Promise<void> {
    await this.#stack.options.client.call("archivePut", {
      id,
      query: { path: "/" },
      headers: { "Content-Type": "application/x-tar" },
      body: (async function* body() {
        yield await Promise.resolve(archive);
      })(),
    });
  }
}

/** Until Ctrl-C. The containers are up already. */
export const watchProject = async (
  context: CliContext,
  stack: Stack,
  screen: Screen,
  named: readonly string[],
  isPruning = true,
): Promise<number> => {
  const rules = await rulesOf(stack, named);
  if (rules.length === 0) {
    throw new NaruError(
      "invalid_argument",
      'none of the services says what to watch; give one a "develop" section with "watch"',
    );
  }
  const watcher = new Watcher(context, stack, screen, rules, isPruning);
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  using cleanup = new DisposableStack();
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  cleanup.defer(() => {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  });
  cleanup.defer(watcher.open());
  await watcher.initialSync();
  await context.output.write("stderr", "Watch enabled\n");
  await watcher.run(abort.signal);
  return 0;
};
