import type { Client } from "#client/client.ts";
import { jsonLines } from "#client/progress.ts";
import type { StatsResponse } from "#client/system-types.ts";
import type { CliContext } from "#cli/context.ts";
import { shortId } from "#cli/container/rows.ts";
import { figuresOf } from "#cli/container/stats-figures.ts";
import type { Figures } from "#cli/container/stats-figures.ts";
import { renderListing } from "#cli/format/listing.ts";
import type { Row } from "#cli/format/listing.ts";
import { bytesSize, humanSize } from "#cli/format/units.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, format } from "#cli/framework/flags.ts";
import { hasCode } from "#lib/errors.ts";
import { sleep } from "#lib/clock.ts";
import type { EventMessage } from "#spec/docker/event.ts";

const REDRAW_MS = 500;
const TEMPLATE =
  "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";
const HEADERS = {
  Container: "CONTAINER",
  Name: "NAME",
  ID: "CONTAINER ID",
  CPUPerc: "CPU %",
  MemUsage: "MEM USAGE / LIMIT",
  MemPerc: "MEM %",
  NetIO: "NET I/O",
  BlockIO: "BLOCK I/O",
  PIDs: "PIDS",
} as const;

const UNKNOWN = "--";

const percent = (value: number): string => `${value.toFixed(2)}%`;
const pair = (a: number, b: number): string => `${humanSize(a, 3)} / ${humanSize(b, 3)}`;

const row = (container: string, figures: Figures | undefined, isTruncated: boolean): Row => {
  const id = figures?.id ?? container;
  const known = (show: (figures: Figures) => string, otherwise = UNKNOWN): string =>
    figures === undefined ? otherwise : show(figures);
  return {
    Container: container,
    Name: known((all) => all.name || UNKNOWN),
    ID: isTruncated ? shortId(id) : id,
    CPUPerc: known((all) => percent(all.cpuPercent)),
    MemUsage: known(
      (all) => `${bytesSize(all.memoryBytes)} / ${bytesSize(all.memoryLimitBytes)}`,
      "-- / --",
    ),
    MemPerc: known((all) => percent(all.memoryPercent)),
    NetIO: known((all) => pair(all.receivedBytes, all.sentBytes)),
    BlockIO: known((all) => pair(all.readBytes, all.writtenBytes)),
    PIDs: known((all) => String(all.pids)),
  };
};

/** The newest figures of every watched container, in order of appearance. */
class StatsBoard {
  readonly #client: Client;
  readonly #figures = new Map<string, Figures | undefined>();

  constructor(client: Client) {
    this.#client = client;
  }

  get entries(): readonly (readonly [string, Figures | undefined])[] {
    return [...this.#figures];
  }

  /** One reading with its predecessor, so that the CPU's share is known at once. */
  async readOnce(id: string): Promise<void> {
    this.#figures.set(id, undefined);
    const response = await this.#client.call("containerStats", { id, query: { stream: "false" } });
    this.#figures.set(id, figuresOf(JSON.parse(await response.text()) as StatsResponse));
  }

  /** Follows until the container is gone. Rejects when there is no such container. */
  async follow(id: string): Promise<void> {
    if (this.#figures.has(id)) return;
    this.#figures.set(id, undefined);
    try {
      const response = await this.#client.call("containerStats", { id, query: { stream: "true" } });
      for await (const stats of jsonLines<StatsResponse>(response.body)) {
        this.#figures.set(id, figuresOf(stats));
      }
    } finally {
      this.#figures.delete(id);
    }
  }

  /** Containers that start later join the board. */
  async followStarts(): Promise<void> {
    const response = await this.#client.call("events", {
      query: { filters: { type: ["container"], event: ["start"] } },
    });
    for await (const event of jsonLines<EventMessage>(response.body)) {
      // One that is gone again before its first reading is none to show.
      this.follow(event.Actor.ID).catch(() => undefined);
    }
  }
}

interface StatsOptions {
  readonly context: CliContext;
  readonly board: StatsBoard;
  readonly format: string | undefined;
  readonly isTruncated: boolean;
}

const render = ({ board, format: chosen, isTruncated }: StatsOptions): string =>
  renderListing({
    defaultTemplate: TEMPLATE,
    headers: HEADERS,
    rows: board.entries.map(([id, figures]) => row(id, figures, isTruncated)),
    format: chosen,
  });

/** Redraws in place on a terminal, appends otherwise; ends with the last named container. */
const live = async (options: StatsOptions, following: Promise<unknown>): Promise<void> => {
  const { output } = options.context;
  const isTerminal = await output.isTerminal("stdout");
  let isOver = false;
  const over = following.finally(() => {
    isOver = true;
  });
  over.catch(() => undefined);
  while (!isOver) {
    await Promise.race([sleep(REDRAW_MS), over]);
    const text = render(options);
    const screen = text.replaceAll("\n", "\u001B[K\n");
    await output.write("stdout", isTerminal ? `\u001B[H${screen}\u001B[J` : text);
  }
  await over;
};

export const command = defineCommand({
  usage: "[OPTIONS] [CONTAINER...]",
  flags: {
    all: bool("Show all containers (default shows just running)", "a"),
    format: format(),
    "no-stream": bool("Disable streaming stats and only pull the first result"),
    "no-trunc": bool("Do not truncate output"),
  },
  args: ANY,
  completes: "running",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    const board = new StatsBoard(client);
    const chosen = flags.format ?? (await context.config()).statsFormat;
    const options = { context, board, format: chosen, isTruncated: !flags["no-trunc"] };
    const listed = await client.call("containerList", { query: { all: flags.all } });
    const ids = args.length > 0 ? args : listed.map((container) => container.Id);
    if (flags["no-stream"]) {
      const results = await Promise.allSettled(ids.map((id) => board.readOnce(id)));
      for (const result of results) {
        // Without names, one that ended meanwhile is simply no longer there.
        if (
          result.status === "rejected" &&
          (args.length > 0 || !hasCode(result.reason, "not_found"))
        ) {
          throw result.reason;
        }
      }
      context.output.print(render(options));
      return 0;
    }
    if (await context.output.isTerminal("stdout")) context.output.print("\u001B[2J");
    const follow = ids.map((id) => board.follow(id));
    if (args.length > 0) {
      await live(options, Promise.all(follow));
    } else {
      for (const one of follow) one.catch(() => undefined);
      await live(options, board.followStarts());
    }
    return 0;
  },
});
