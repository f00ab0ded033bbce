/** GET /containers/{id…}/logs. */
import type { Call } from "#api/docker/call.ts";
import { multiplexFrame, streamContentType } from "#api/docker/multiplex.ts";
import { get, type Route } from "#api/docker/route.ts";
import { parseTime } from "#api/docker/time.ts";
import { Coalescer } from "#api/http/coalescer.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { LogLine, LogsOptions } from "#container/containers.ts";
import { logAttributesOf } from "#container/log-attributes.ts";
import { formatInstant } from "#lib/clock.ts";
import { hasCode, NaruError, toNaruError } from "#lib/errors.ts";

const optionsOf = (call: Call): LogsOptions => {
  const { query } = call;
  const stdout = query.flag("stdout");
  const stderr = query.flag("stderr");
  if (!stdout && !stderr) {
    throw new NaruError("invalid_argument", "Bad parameters: you must choose at least one stream");
  }
  const sinceNs = parseTime(query.text("since"), "since");
  const until = query.text("until");
  const untilNs = until === "0" ? undefined : parseTime(until, "until");
  const tail = query.text("tail");
  return {
    stdout,
    stderr,
    follow: query.flag("follow"),
    ...(sinceNs === undefined ? {} : { since: sinceNs }),
    ...(untilNs === undefined ? {} : { until: untilNs }),
    // "all", and whatever is not a number, means all.
    ...(/^\d{1,15}$/.test(tail) ? { tail: Number(tail) } : {}),
    signal: call.signal,
  };
};

/** Docker's form: each name and value as in a URL, and a space at the end even where there is none. */
const detailsOf = (record: ContainerRecord): Buffer => {
  const escaped = (text: string): string => encodeURIComponent(text).replaceAll("%20", "+");
  const pairs = [...logAttributesOf(record)].map(([k, v]) => `${escaped(k)}=${escaped(v)}`);
  return Buffer.from(`${pairs.join(",")} `);
};

/** What --timestamps and --details put in front of each line, once for a line that comes in parts. */
const prefixer = (call: Call, record: ContainerRecord): ((line: LogLine) => Uint8Array) => {
  const hasTime = call.query.flag("timestamps");
  const hasDetails = call.query.flag("details");
  const details = hasDetails ? detailsOf(record) : Buffer.alloc(0);
  if (!hasTime && !hasDetails) return ({ bytes }) => bytes;
  return ({ timestampNs, bytes, isContinuation }) => {
    if (isContinuation === true) return bytes;
    const parts: Uint8Array[] = [];
    if (hasTime) parts.push(Buffer.from(`${formatInstant(timestampNs)} `));
    if (hasDetails) parts.push(details);
    return Buffer.concat([...parts, bytes]);
  };
};

const logs = async (call: Call): Promise<void> => {
  const options = optionsOf(call);
  const { containers } = call.backend;
  const record = containers.get(call.name);
  const isTty = record.config.Tty;
  const lines = containers.logs(call.name, options);
  const render = prefixer(call, record);
  if (options.follow) call.exchange.endsWithServer();
  const stream = call.stream(streamContentType(isTty, call.minor));
  const out = new Coalescer((bytes) => stream.write(bytes));
  try {
    for await (const line of lines) {
      const bytes = render(line);
      await out.push(isTty ? bytes : multiplexFrame(line.stream, bytes));
    }
    await out.flush();
  } catch (error) {
    if (call.signal.aborted || hasCode(error, "canceled")) return;
    const text = Buffer.from(`Error grabbing logs: ${toNaruError(error).message}\n`);
    await stream.write(isTty ? text : multiplexFrame(3, text));
  } finally {
    stream.end();
  }
};

export const logRoutes: readonly Route[] = [get("/containers/{id…}/logs", logs)];
