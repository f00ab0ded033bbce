/**
 * A build told as Docker's classic builder tells it: one step after the other, though steps of other stages
 * may run meanwhile. What they say is kept until it is their turn, up to a limit; nothing ever waits for a
 * turn, since the step before may be waiting for this very one.
 */
import type { ProgressMessage } from "#api/docker/backend.ts";
import { transferMessage } from "#api/docker/image/transfer-events.ts";
import type { BuildEvent, StepInfo } from "#build/build.ts";
import { shortId } from "#spec/image/digest.ts";

export interface ClassicOptions {
  readonly write: (message: ClassicMessage) => Promise<void>;
  /** "Removing intermediate container" after a step, and after one that failed. */
  readonly isRemoved: boolean;
  readonly isForceRemoved: boolean;
  /** Why a step is not taken from the cache, as a line of its own. */
  readonly isExplained: boolean;
}

export type ClassicMessage = ProgressMessage;

const KEPT_MAX_CHARS = 4 * 1024 * 1024;
const CLIPPED = "\n[output clipped: the limit of a step that waits for its turn is reached]\n";
const RED = "\u001b[91m";
const PLAIN = "\u001b[0m";

/** What the classic builder runs a container for. */
const hasContainer = ({ text }: Pick<StepInfo, "text">): boolean =>
  !/^(FROM|COPY|ADD)\b/i.test(text);

interface Waiting {
  readonly messages: ClassicMessage[];
  chars: number;
  isDone: boolean;
}

const idOf = (containerId: string): string => containerId.slice(0, 12);

export class ClassicLines {
  readonly #options: ClassicOptions;
  #steps: readonly StepInfo[] = [];
  readonly #waiting = new Map<number, Waiting>();
  readonly #containers = new Map<number, string>();
  /** Of each FROM, the trigger that it is at. */
  readonly #triggers = new Map<number, Pick<StepInfo, "text">>();
  readonly #decoders = new Map<string, TextDecoder>();
  #current = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(options: ClassicOptions) {
    this.#options = options;
  }

  /** Resolves when the event's text is written, or kept. */
  take(event: BuildEvent): Promise<void> {
    switch (event.kind) {
      case "plan":
        this.#steps = event.steps;
        return Promise.resolve();
      case "unused-args": {
        const names = event.names.join(" ");
        const text = `[Warning] One or more build-args [${names}] were not consumed\n`;
        return this.#write([{ stream: text }]);
      }
      case "done":
        return this.#done(event);
      case "start":
      case "run":
      case "trigger":
      case "output":
      case "transfer":
      case "failed":
        return this.#say(event.step, this.#messages(event), event.kind === "output");
    }
  }

  /** Resolves when all that was taken is written; what belongs to steps that never came up is dropped. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  /** Shows a failed step's own lines even where an earlier stage is still at work. */
  async failed(step: number | undefined): Promise<void> {
    const waiting = step === undefined ? undefined : this.#waiting.get(step);
    if (waiting !== undefined && step !== this.#current) await this.#write(waiting.messages);
    await this.#tail;
  }

  #messages(event: Extract<BuildEvent, { step: number }>): ClassicMessage[] {
    const step = this.#steps[event.step];
    switch (event.kind) {
      case "start": {
        const place = `Step ${event.step + 1}/${this.#steps.length} : ${step?.text ?? ""}`;
        return [{ stream: place }, { stream: "\n" }];
      }
      case "run": {
        const why = this.#options.isExplained
          ? [{ stream: ` ---> Not cached: ${event.why}\n` }]
          : [];
        const own = this.#triggers.get(event.step) ?? step;
        if (own === undefined || !hasContainer(own)) return why;
        this.#containers.set(event.step, event.id);
        return [...why, { stream: ` ---> Running in ${idOf(event.id)}\n` }];
      }
      case "trigger":
        return this.#triggerMessages(event);
      case "output": {
        const text = this.#decode(event.step, event.stream, event.bytes);
        if (text === "") return [];
        return [{ stream: event.stream === 2 ? `${RED}${text}${PLAIN}` : text }];
      }
      case "transfer":
        return [transferMessage(event.transfer)];
      case "failed":
        return this.#options.isForceRemoved ? this.#removed(event.step) : [];
      case "done":
        return [];
    }
  }

  #triggerMessages({
    step,
    text,
    number,
    total,
    isCached,
  }: Extract<BuildEvent, { kind: "trigger" }>): ClassicMessage[] {
    if (isCached === true) return [{ stream: " ---> Using cache\n" }];
    if (isCached === false) {
      const messages = this.#options.isRemoved ? this.#removed(step) : [];
      this.#containers.delete(step);
      return messages;
    }
    this.#triggers.set(step, { text: text.replace(/^ONBUILD /, "") });
    if (number > 1) return [];
    return [{ stream: `# Executing ${total} build trigger${total === 1 ? "" : "s"}\n` }];
  }

  #decode(step: number, stream: number, bytes: Uint8Array): string {
    const key = `${step}.${stream}`;
    let decoder = this.#decoders.get(key);
    if (decoder === undefined) {
      decoder = new TextDecoder();
      this.#decoders.set(key, decoder);
    }
    return decoder.decode(bytes, { stream: true });
  }

  #removed(step: number): ClassicMessage[] {
    const id = this.#containers.get(step);
    return id === undefined ? [] : [{ stream: `Removing intermediate container ${idOf(id)}\n` }];
  }

  #doneMessages({
    step,
    isCached,
    imageId,
  }: Extract<BuildEvent, { kind: "done" }>): ClassicMessage[] {
    // ARGs before the first FROM make no image.
    if (this.#steps[step]?.stage === undefined) return [];
    const id = imageId === undefined ? "" : shortId(imageId);
    return [
      ...(isCached ? [{ stream: " ---> Using cache\n" }] : []),
      ...(this.#options.isRemoved && !isCached ? this.#removed(step) : []),
      { stream: ` ---> ${id}\n` },
      // Behind the last step of each stage.
      ...(imageId !== undefined && this.#steps[step + 1]?.stage !== this.#steps[step]?.stage
        ? [{ aux: { ID: imageId } }]
        : []),
    ];
  }

  async #done(event: Extract<BuildEvent, { kind: "done" }>): Promise<void> {
    const said = this.#say(event.step, this.#doneMessages(event));
    this.#waitingOf(event.step).isDone = true;
    if (event.step === this.#current) this.#advance();
    await said;
  }

  #waitingOf(step: number): Waiting {
    let waiting = this.#waiting.get(step);
    if (waiting === undefined) {
      waiting = { messages: [], chars: 0, isDone: false };
      this.#waiting.set(step, waiting);
    }
    return waiting;
  }

  async #say(step: number, messages: ClassicMessage[], isOutput = false): Promise<void> {
    if (messages.length === 0) return;
    if (step <= this.#current) return await this.#write(messages);
    const waiting = this.#waitingOf(step);
    const isClipped = waiting.chars > KEPT_MAX_CHARS;
    for (const message of messages) waiting.chars += message.stream?.length ?? 100;
    const wanted = isClipped && isOutput ? [] : messages;
    waiting.messages.push(...wanted);
    if (!isClipped && waiting.chars > KEPT_MAX_CHARS) waiting.messages.push({ stream: CLIPPED });
  }

  /** On to the first step that is not done. */
  #advance(): void {
    for (;;) {
      const done = this.#waiting.get(this.#current);
      if (done?.isDone !== true) break;
      this.#waiting.delete(this.#current);
      this.#current += 1;
      const next = this.#waiting.get(this.#current);
      if (next === undefined) continue;
      // Who says something next hears of a failed write; here nobody waits.
      this.#write(next.messages.splice(0)).catch(() => undefined);
      next.chars = 0;
    }
  }

  #write(messages: readonly ClassicMessage[]): Promise<void> {
    const next = this.#tail.then(async () => {
      for (const message of messages) await this.#options.write(message);
    });
    // Who waits for its own lines hears of a failure; the rest is not written any more.
    this.#tail = next.catch(() => undefined);
    return next;
  }
}
