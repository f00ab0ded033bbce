/** One process of a container, as messages of a stream that carries those of several. */
import { type MessageInitShape, create, toBinary } from "@bufbuild/protobuf";
import type { GrpcCall } from "#api/grpc/server.ts";
import { statusNumber } from "#api/grpc/status.ts";
import type { ContainerProcess } from "#build/llb/llb.ts";
import { sleep } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { ExecMessageSchema, type FdMessage } from "#spec/buildkit/gateway.gen.ts";

type Input = NonNullable<MessageInitShape<typeof ExecMessageSchema>["input"]>;

const STDIN = 0;
const SIGKILL = 9;
const UNKNOWN_EXIT_CODE = 255;
const PIECE_BYTES = 32 * 1024;
/** Input that the process has not taken yet; more waits in the stream, and so does what comes behind it. */
const WAITING_MAX_BYTES = 1024 * 1024;
/** What a process left behind it in the container may hold its output open. */
const DRAIN_TIMEOUT_MS = 2000;

export class RemoteProcess {
  readonly #id: string;
  readonly #process: ContainerProcess;
  readonly #call: Pick<GrpcCall, "send">;
  readonly #fds: ReadonlySet<number>;
  /** Every message told; throws where the client is gone. */
  readonly ended: Promise<void>;
  #isOver = false;
  #hasStdin: boolean;
  #input: Promise<void> = Promise.resolve();
  #waitingBytes = 0;

  constructor(
    id: string,
    process: ContainerProcess,
    fds: readonly number[],
    call: Pick<GrpcCall, "send">,
  ) {
    this.#id = id;
    this.#process = process;
    this.#fds = new Set(fds);
    this.#call = call;
    this.#hasStdin = this.#fds.has(STDIN);
    this.ended = this.#tell();
    this.ended.catch(() => undefined); // Told by who waits for the stream's end.
  }

  /** Resolves when there is room for more. Throws out_of_range for what was not opened. */
  async write({ fd, data, eof }: FdMessage): Promise<void> {
    if (fd !== STDIN || !this.#fds.has(STDIN)) {
      throw new NaruError("out_of_range", `fd ${fd} of process "${this.#id}" is not open to write`);
    }
    // Who writes may not know yet that nobody reads any more.
    if (!this.#hasStdin || this.#isOver) return;
    if (data.length > 0) this.#feed(data);
    if (eof) {
      this.#hasStdin = false;
      this.#input = this.#input.then(() => this.#process.stdio.closeStdin());
    }
    if (this.#waitingBytes > WAITING_MAX_BYTES) await this.#input;
  }

  #feed(data: Uint8Array): void {
    this.#waitingBytes += data.length;
    const write = async (before: Promise<void>): Promise<void> => {
      await before;
      try {
        await this.#process.stdio.write(data);
      } catch {
        // It has closed its input, or has ended: its exit says the rest.
        this.#hasStdin = false;
      }
      this.#waitingBytes -= data.length;
    };
    this.#input = write(this.#input);
  }

  resize(rows: number, cols: number): void {
    if (!this.#isOver) this.#process.resize({ height: rows, width: cols });
  }

  signal(number: number): void {
    if (!this.#isOver) this.#process.signal(number);
  }

  /** Nobody listens any more: it ends, as BuildKit has it. */
  close(): void {
    this.signal(SIGKILL);
    this.#isOver = true;
    this.#process.stdio.close();
  }

  async #send(input: Input): Promise<void> {
    const message = create(ExecMessageSchema, { processId: this.#id, input });
    await this.#call.send(toBinary(ExecMessageSchema, message));
  }

  async #tell(): Promise<void> {
    await this.#send({ case: "started", value: {} });
    const told = this.#tellOutput();
    told.catch(() => undefined); // Told below.
    await this.#tellExit();
    await Promise.race([told, sleep(DRAIN_TIMEOUT_MS)]);
    this.close();
    await told;
    for (const fd of this.#fds) {
      if (fd !== STDIN) await this.#send({ case: "file", value: { fd, eof: true } });
    }
    await this.#send({ case: "done", value: {} });
  }

  async #tellOutput(): Promise<void> {
    for await (const { stream, bytes } of this.#process.stdio.output) {
      if (!this.#fds.has(stream)) continue;
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const data = Uint8Array.from(bytes.subarray(at, at + PIECE_BYTES));
        await this.#send({ case: "file", value: { fd: stream, data } });
      }
    }
  }

  async #tellExit(): Promise<void> {
    let code: number;
    let error: { code: number; message: string } | undefined;
    try {
      code = await this.#process.exited;
      if (code !== 0) error = { code: statusNumber("internal"), message: `exit code: ${code}` };
    } catch (thrown) {
      const reason = toNaruError(thrown);
      code = UNKNOWN_EXIT_CODE;
      error = { code: statusNumber(reason.code), message: reason.message };
    }
    await this.#send({ case: "exit", value: { code, ...(error === undefined ? {} : { error }) } });
  }
}
