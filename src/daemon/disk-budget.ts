/** The disk budget over the rooms: what counts, what can go, and what must stay. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Content } from "#content/content.ts";
import { openContent } from "#content/store.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import type { Rooms } from "#daemon/rooms.ts";
import type { BudgetItem } from "#gc/budget.ts";
import { formatInstant, now } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";

type BudgetRooms = Pick<
  Rooms,
  "images" | "snapshots" | "trash" | "builds" | "events" | "containers"
>;

interface BudgetParts extends BudgetRooms {
  readonly keep: readonly string[];
  readonly content: Pick<Content, "walk">;
}

const SWEEP_MS = 60_000;
const KEEP_LABEL = "naru.keep";

/** Bytes of containers' logs, rotated ones with them. Nothing goes for them: they rotate by their own options. */
const logBytes = async ({ containers }: BudgetParts): Promise<number> => {
  let total = 0;
  for (const { logPath } of containers.list()) {
    if (logPath === "") continue;
    const [directory, prefix] = [dirname(logPath), basename(logPath)];
    // oxlint-disable-next-line no-await-in-loop -- one directory at a time leaves the thread to requests
    const names = await readdir(directory).catch(() => []);
    for (const name of names.filter((one) => one === prefix || one.startsWith(`${prefix}.`))) {
      // oxlint-disable-next-line no-await-in-loop -- as above; one that was just rotated away counts nothing
      total += await stat(`${directory}/${name}`).then(
        ({ size }) => size,
        () => 0,
      );
    }
  }
  return total;
};

const measure = async (parts: BudgetParts): Promise<number> => {
  const { content, snapshots, trash, builds } = parts;
  let total = await logBytes(parts);
  total += snapshots.layerBytes();
  for (const { sizeBytes } of content.walk()) total += sizeBytes;
  // Layers of removed images have been counted with the others.
  const thrown = (await (await trash()).list()).filter(({ kind }) => kind !== "image");
  const mounts = await (await builds()).usage();
  return [...thrown, ...mounts.filter(({ kind }) => kind !== "regular")].reduce(
    (sum, { sizeBytes }) => sum + sizeBytes,
    total,
  );
};

const keptBecause = (
  { keep }: BudgetParts,
  summary: {
    readonly names: readonly string[];
    readonly containers: number;
    readonly isKept: boolean;
  },
): string | undefined => {
  if (summary.containers > 0) return "a container uses it";
  if (summary.isKept) return `it has the label ${KEEP_LABEL}`;
  const isNamed = (name: string): boolean =>
    keep.some((wanted) => name === wanted || name.startsWith(`${wanted}:`));
  return summary.names.some(isNamed) ? "its name is to be kept" : undefined;
};

/** Docker has no "last used" of images: the last of made here, tagged, and run since this daemon started. */
const imageItems = (parts: BudgetParts, used: ReadonlyMap<string, string>): BudgetItem[] =>
  parts.images.usage().images.map(({ summary, uniqueBytes }) => {
    const names = summary.RepoTags ?? [];
    const { LastTagTime } = parts.images.inspect(summary.Id).Metadata;
    const times = [
      formatInstant(BigInt(summary.Created) * 1_000_000_000n),
      LastTagTime,
      used.get(summary.Id) ?? "",
    ];
    const isKept = (summary.Labels?.[KEEP_LABEL] ?? "false") !== "false";
    const reason = keptBecause(parts, { names, containers: summary.Containers, isKept });
    return {
      kind: "image",
      id: summary.Id,
      name: names[0] ?? summary.Id,
      sizeBytes: Math.max(0, uniqueBytes),
      lastUsedAt: times.toSorted().at(-1) ?? "",
      ...(reason === undefined ? {} : { keptBecause: reason }),
    };
  });

const items = async (
  parts: BudgetParts,
  used: ReadonlyMap<string, string>,
): Promise<BudgetItem[]> => {
  const thrown = (await (await parts.trash()).list()).map(
    ({ id, name, sizeBytes, removedAt }): BudgetItem => ({
      kind: "trash",
      id,
      name,
      sizeBytes,
      lastUsedAt: removedAt,
    }),
  );
  const cached = (await (await parts.builds()).usage())
    .filter(({ isInUse, isShared }) => !isInUse && !isShared)
    .map(({ id, description, sizeBytes, lastUsedAt }): BudgetItem => ({
      kind: "build cache",
      id,
      name: description,
      sizeBytes,
      lastUsedAt,
    }));
  return [...thrown, ...cached, ...imageItems(parts, used)];
};

const remove = async (parts: BudgetParts, item: BudgetItem): Promise<void> => {
  switch (item.kind) {
    case "trash":
      await (await parts.trash()).drop(item.id);
      return;
    case "build cache":
      await (
        await parts.builds()
      ).prune({
        isAll: false,
        keepBytes: undefined,
        unusedSince: undefined,
        ids: [item.id],
        kinds: [],
      });
      return;
    case "image":
      await parts.images.remove(item.id, { isForced: true, isParentKept: false, isFinal: true });
  }
};

/** Remembers when each image was last run, as long as `signal` lets it. */
const watchUse = async (
  { events, images }: BudgetRooms,
  used: Map<string, string>,
  signal: AbortSignal,
): Promise<void> => {
  for await (const event of events.stream({ signal })) {
    if (event.Type !== "container" || event.Action !== "start") continue;
    const image = images.find(event.Actor.Attributes?.["image"] ?? "");
    if (image !== undefined) used.set(image.id, now());
  }
};

/** Looks once a minute, from now on. The returned function ends it. Does nothing where there is no budget. */
export const startDiskBudget = (config: DaemonConfig, rooms: BudgetRooms, log: Logger) => {
  const { diskBudgetBytes: budgetBytes, diskBudgetKeep: keep, dataRoot } = config;
  if (budgetBytes === undefined) return (): void => undefined;
  const stop = new AbortController();
  const used = new Map<string, string>();
  const parts: BudgetParts = { ...rooms, keep, content: openContent(`${dataRoot}/content`) };
  const tell = (error: unknown): void => {
    if (!stop.signal.aborted) log.error("the disk budget stopped", { error: String(error) });
  };
  watchUse(rooms, used, stop.signal).catch(tell);
  const budget = import("#gc/budget.ts").then(
    (module) =>
      new module.DiskBudget({
        budgetBytes,
        measure: () => measure(parts),
        items: () => items(parts, used),
        remove: (item) => remove(parts, item),
        onRemoved: (item, reason) =>
          rooms.events.publish({
            Type: "daemon",
            Action: "disk-budget",
            Actor: { ID: item.id, Attributes: { kind: item.kind, name: item.name, reason } },
          }),
        log,
      }),
  );
  const enforce = (): void => void budget.then((made) => made.enforce()).catch(tell);
  enforce();
  const timer = setInterval(enforce, SWEEP_MS);
  timer.unref();
  return (): void => {
    clearInterval(timer);
    stop.abort();
  };
};
