/** Images in and out: load, save, import, what stands in for pull, and naru's own bootstrap. */
import type { Call } from "#api/docker/call.ts";
import { referenceOf } from "#api/docker/container/files.ts";
import { errorLine } from "#api/docker/errors.ts";
import { platformOf, platformsOf } from "#api/docker/image/platform.ts";
import { ProgressStream, progressLine, pumpProgress } from "#api/docker/image/progress.ts";
import { pull } from "#api/docker/image/registry.ts";
import { sendArchive } from "#api/docker/image/send-archive.ts";
import { get, type Handler, post, type Route } from "#api/docker/route.ts";
import { pumpStream } from "#api/docker/stream.ts";
import { type LoadEvent, loadEventText } from "#image/image.ts";
import { hasCode, NaruError } from "#lib/errors.ts";
import { redactedAddress } from "#lib/redacted-address.ts";

/**
 * Load answers before it has read anything, since events are told without waiting: they are queued
 * here and written one after the other. Progress that a slow client has not taken is replaced.
 */
class LoadLines {
  readonly #write: (line: string) => Promise<void>;
  #tail: Promise<void> = Promise.resolve();
  #isBusy = false;

  constructor(write: (line: string) => Promise<void>) {
    this.#write = write;
  }

  add(event: LoadEvent, isQuiet: boolean): void {
    if (event.kind === "progress") {
      if (isQuiet || (this.#isBusy && event.current < event.total)) return;
      const progressDetail = { current: event.current, total: event.total };
      this.#queue(progressLine({ status: "Loading layer", id: event.id, progressDetail }));
      return;
    }
    const stream = loadEventText(event);
    if (stream !== undefined) this.#queue(progressLine({ stream }));
  }

  /** Throws what a write failed with. */
  settled(): Promise<void> {
    return this.#tail;
  }

  #queue(line: string): void {
    this.#isBusy = true;
    const next = this.#tail.then(() => this.#write(line));
    this.#tail = next;
    next.then(
      () => {
        if (this.#tail === next) this.#isBusy = false;
      },
      // Kept in #tail for `settled`.
      () => undefined,
    );
  }
}

const load = async (call: Call): Promise<void> => {
  const { exchange, query } = call;
  const isQuiet = query.flag("quiet", true);
  const platform = call.minor < 48 ? undefined : platformOf(call, "platform");
  const out = call.stream("application/json");
  const lines = new LoadLines((line) => out.write(line));
  try {
    await call.backend.images.load(exchange.body(), {
      signal: call.signal,
      onEvent: (event) => lines.add(event, isQuiet),
      // naru's own: the name of the one image, in place of its own.
      ...(query.text("as") === "" ? {} : { reference: query.text("as") }),
      ...(platform === undefined ? {} : { platform }),
    });
    await lines.settled();
  } catch (error) {
    if (call.signal.aborted || hasCode(error, "canceled")) return;
    await out.write(errorLine(error));
  } finally {
    out.end();
  }
};

const save =
  (namesOf: (call: Call) => string[]): Handler =>
  async (call) => {
    const names = namesOf(call);
    if (names.length === 0) {
      throw new NaruError("invalid_argument", "bad parameter: no image is named");
    }
    const platforms = call.minor < 48 ? [] : platformsOf(call, "platform", 52);
    using archive = await call.backend.images.save(names, call.signal, platforms);
    const sender = await call.backend.fileSender?.();
    if (sender === undefined) {
      await pumpStream(call.stream("application/x-tar"), archive.stream(call.signal));
      return;
    }
    const fields = "Content-Type: application/x-tar\r\n";
    const stream = call.exchange.stream(200, fields, archive.sizeBytes);
    await sendArchive(archive.segments, stream, sender, call.signal);
  };

const importRoot = async (call: Call): Promise<void> => {
  const { query, exchange } = call;
  const source = query.text("fromSrc");
  const reference = referenceOf(call);
  const platform = call.minor < 32 ? undefined : platformOf(call, "platform");
  const { images } = call.backend;
  const root = source === "-" ? exchange.body() : await images.fetchRoot(source, call.signal);
  const out = new ProgressStream(call);
  // It may take long: told as soon as the server has answered.
  if (source !== "-") await out.write({ status: `Downloading from ${redactedAddress(source)}` });
  const options = {
    signal: call.signal,
    ...(reference === undefined ? {} : { reference }),
    message: query.text("message") || `Imported from ${redactedAddress(source)}`,
    changes: query.all("changes"),
    ...(platform === undefined ? {} : { platform }),
  };
  try {
    await out.write({ status: await images.import(root, options) });
    out.end();
  } catch (error) {
    await out.fail(error);
  }
};

const create = async (call: Call): Promise<void> => {
  const image = call.query.text("fromImage");
  await (image === "" ? importRoot(call) : pull(call, image));
};

const bootstrap = async (call: Call): Promise<void> => {
  const reference = call.query.text("ref");
  if (reference === "") {
    throw new NaruError("invalid_argument", "bad parameter: ref cannot be empty");
  }
  const mirror = call.query.text("mirror");
  const { images } = call.backend;
  await pumpProgress(
    call,
    images.bootstrap(reference, mirror === "" ? undefined : mirror, call.signal),
  );
};

export const transferRoutes: readonly Route[] = [
  post("/images/create", create),
  post("/images/load", load),
  get(
    "/images/get",
    save((call) => call.query.all("names").flatMap((text) => text.split(","))),
  ),
  get(
    "/images/{name…}/get",
    save((call) => [call.name]),
  ),
  post("/naru/images/bootstrap", bootstrap),
];
