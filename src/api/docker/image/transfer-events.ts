/** Events of a pull or push as lines of an answer, at the client's pace. */
import type { ProgressMessage } from "#api/docker/backend.ts";
import type { TransferEvent } from "#image/transfer.ts";

/** Docker's lines about a layer all have the field, empty where nothing is counted. */
const messageOf = (event: TransferEvent, hasDetail: boolean): ProgressMessage => {
  if (event.aux !== undefined) return { progressDetail: {}, aux: event.aux };
  const { status, id, current, total } = event;
  const progressDetail = current === undefined || total === undefined ? {} : { current, total };
  return {
    status,
    ...(hasDetail ? { progressDetail } : {}),
    ...(id === undefined ? {} : { id }),
  };
};

/** The first line of a pull has an id, the tag, but counts nothing. */
const isHeading = (event: TransferEvent): boolean => event.status.startsWith("Pulling from ");

export const transferMessage = (event: TransferEvent): ProgressMessage =>
  messageOf(event, event.id !== undefined && !isHeading(event));

/**
 * Runs `work` and yields what it tells. Counts that a slow client has not taken are replaced by newer ones of
 * the same layer, so that at most one line per layer and state waits. Leaving early stops the work.
 */
export async function* transferMessages(
  signal: AbortSignal,
  work: (onEvent: (event: TransferEvent) => void, signal: AbortSignal) => Promise<void>,
): AsyncGenerator<ProgressMessage, void> {
  const queue: TransferEvent[] = [];
  const counts = new Map<string, number>();
  let wake = (): void => undefined;
  let isDone = false;
  const onEvent = (event: TransferEvent): void => {
    const key = `${event.id} ${event.status}`;
    const waiting = counts.get(key);
    if (event.current !== undefined && waiting !== undefined && queue[waiting]?.id === event.id) {
      queue[waiting] = event;
      return;
    }
    if (event.current !== undefined) counts.set(key, queue.length);
    queue.push(event);
    wake();
  };
  const stop = new AbortController();
  const running = work(onEvent, AbortSignal.any([signal, stop.signal])).finally(() => {
    isDone = true;
    wake();
  });
  running.catch(() => undefined); // Awaited below, after the lines.
  try {
    for (;;) {
      const batch = queue.splice(0);
      counts.clear();
      for (const event of batch) {
        yield transferMessage(event);
      }
      if (queue.length > 0) continue;
      if (isDone) break;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
    await running;
  } finally {
    stop.abort();
  }
}
