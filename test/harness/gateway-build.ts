/** A client's own build function, as debuggers of builds have it: results, and processes in containers of them. */
import { connect } from "node:net";

import {
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  create,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";

import { GrpcClient, type GrpcStream } from "#api/grpc/client.ts";
import {
  EmptySchema,
  SolveRequestSchema,
  SolveResponseSchema,
} from "#spec/buildkit/control.gen.ts";
import {
  ExecMessageSchema,
  GatewaySolveRequestSchema,
  GatewaySolveResponseSchema,
  NewContainerRequestSchema,
  ReleaseContainerRequestSchema,
  ReturnRequestSchema,
} from "#spec/buildkit/gateway.gen.ts";
import { ExecMetaSchema, ExecMountSchema, HostAddressSchema } from "#spec/buildkit/llb.gen.ts";

import { engine } from "./check.ts";
import type { Definition, InputOf } from "./llb-definition.ts";

const PREFIX = "/moby.buildkit.v1.frontend.LLBBridge/";

export interface Ended {
  readonly code: number;
  readonly error: string;
  readonly stdout: string;
  readonly stderr: string;
}

interface Waiting {
  readonly started: PromiseWithResolvers<void>;
  readonly ended: PromiseWithResolvers<Ended>;
  readonly output: [string, string, string];
  code: number;
  error: string;
}

type Input = NonNullable<MessageInitShape<typeof ExecMessageSchema>["input"]>;
type Meta = MessageInitShape<typeof ExecMetaSchema>;
type Mount = MessageInitShape<typeof ExecMountSchema>;

/** A process of a container. */
export class RemoteShell {
  readonly #id: string;
  readonly #stream: GrpcStream;
  readonly #state: Waiting;

  constructor(id: string, stream: GrpcStream, state: Waiting) {
    this.#id = id;
    this.#stream = stream;
    this.#state = state;
  }

  get ended(): Promise<Ended> {
    return this.#state.ended.promise;
  }

  get stdout(): string {
    return this.#state.output[1];
  }

  async send(input: Input): Promise<void> {
    const message = create(ExecMessageSchema, { processId: this.#id, input });
    await this.#stream.send(toBinary(ExecMessageSchema, message));
  }

  write = (text: string): Promise<void> =>
    this.send({ case: "file", value: { fd: 0, data: Buffer.from(text) } });
  end = (): Promise<void> => this.send({ case: "file", value: { fd: 0, eof: true } });
  signal = (name: string): Promise<void> => this.send({ case: "signal", value: { name } });
  resize = (rows: number, cols: number): Promise<void> =>
    this.send({ case: "resize", value: { rows, cols } });
}

export class GatewayBuild implements AsyncDisposable {
  readonly #client = new GrpcClient(connect(engine.host.replace(/^unix:\/\//, "")));
  readonly #forever = new AbortController();
  readonly #metadata: { readonly "buildkit-controlapi-buildid": string };
  readonly #solving: Promise<Uint8Array>;
  readonly #processes = new Map<string, Waiting>();
  #stream: GrpcStream | undefined;
  #count = 0;

  constructor(name: string, more: MessageInitShape<typeof SolveRequestSchema> = {}) {
    const ref = `gateway-${name.replaceAll(/[^a-z0-9]/g, "-")}`;
    this.#metadata = { "buildkit-controlapi-buildid": ref };
    const request = create(SolveRequestSchema, { ref, ...more });
    this.#solving = this.#client.call(
      "/moby.buildkit.v1.Control/Solve",
      toBinary(SolveRequestSchema, request),
      this.#forever.signal,
    );
    this.#solving.catch(() => undefined); // Told by `finish`.
  }

  async ask<In extends DescMessage, Out extends DescMessage>(
    method: string,
    request: In,
    value: MessageInitShape<In>,
    response: Out,
  ): Promise<MessageShape<Out>> {
    const stream = this.#client.stream(PREFIX + method, this.#metadata, this.#forever.signal);
    await stream.send(toBinary(request, create(request, value)));
    stream.end();
    let answer: MessageShape<Out> | undefined;
    for await (const one of stream.messages) answer = fromBinary(response, one);
    if (answer === undefined) throw new Error(`${method} came without an answer`);
    return answer;
  }

  /** The id of a result. */
  async solve(definition: Definition, result: InputOf): Promise<string> {
    const { result: given } = await this.ask(
      "Solve",
      GatewaySolveRequestSchema,
      { definition: definition.encode(result), allowResultReturn: true },
      GatewaySolveResponseSchema,
    );
    return given?.result.case === "ref" ? given.result.value.id : "";
  }

  /** The id of a container. */
  async open(
    mounts: readonly Mount[],
    more: { readonly network?: number; readonly hostname?: string } = {},
    hosts: readonly MessageInitShape<typeof HostAddressSchema>[] = [],
  ): Promise<string> {
    const containerId = `c${(this.#count += 1)}`;
    const request = {
      ...more,
      containerId,
      mounts: mounts.map((mount) => toBinary(ExecMountSchema, create(ExecMountSchema, mount))),
      extraHosts: hosts.map((host) => toBinary(HostAddressSchema, create(HostAddressSchema, host))),
    };
    await this.ask("NewContainer", NewContainerRequestSchema, request, EmptySchema);
    return containerId;
  }

  async release(containerId: string): Promise<void> {
    await this.ask("ReleaseContainer", ReleaseContainerRequestSchema, { containerId }, EmptySchema);
  }

  async start(
    containerId: string,
    meta: Meta,
    more: { readonly fds?: number[]; readonly tty?: boolean; readonly security?: number } = {},
  ): Promise<RemoteShell> {
    const stream = (this.#stream ??= this.#open());
    const id = `p${(this.#count += 1)}`;
    const state: Waiting = {
      started: Promise.withResolvers(),
      ended: Promise.withResolvers(),
      output: ["", "", ""],
      code: -1,
      error: "",
    };
    for (const { promise } of [state.started, state.ended]) promise.catch(() => undefined);
    this.#processes.set(id, state);
    const shell = new RemoteShell(id, stream, state);
    const bytes = toBinary(ExecMetaSchema, create(ExecMetaSchema, meta));
    const init = { fds: [0, 1, 2], ...more, containerId, meta: bytes };
    await shell.send({ case: "init", value: init });
    await state.started.promise;
    return shell;
  }

  /** A shell's command in a container, to its end. */
  async run(containerId: string, script: string, meta: Meta = {}): Promise<Ended> {
    const shell = await this.start(containerId, { args: ["sh", "-c", script], ...meta });
    await shell.end();
    return await shell.ended;
  }

  #open(): GrpcStream {
    const signal = this.#forever.signal;
    const stream = this.#client.stream(`${PREFIX}ExecProcess`, this.#metadata, signal);
    this.#listen(stream).catch((error: unknown) => {
      this.#stream = undefined;
      for (const { started, ended } of this.#processes.values()) {
        started.reject(error);
        ended.reject(error);
      }
    });
    return stream;
  }

  async #listen(stream: GrpcStream): Promise<void> {
    for await (const bytes of stream.messages) {
      const { processId, input } = fromBinary(ExecMessageSchema, bytes);
      const state = this.#processes.get(processId);
      if (state === undefined) throw new Error(`a message for "${processId}"`);
      const { started, ended, output } = state;
      if (input.case === "started") started.resolve();
      if (input.case === "file") {
        const fd = input.value.fd === 2 ? 2 : 1;
        output[fd] += Buffer.from(input.value.data).toString();
      }
      if (input.case === "exit") {
        state.code = input.value.code;
        state.error = input.value.error?.message ?? "";
      }
      if (input.case === "done") {
        const [, stdout, stderr] = output;
        ended.resolve({ code: state.code, error: state.error, stdout, stderr });
      }
    }
  }

  /** Gives nothing back, and hears the build's end. */
  async finish(
    value: MessageInitShape<typeof ReturnRequestSchema> = { result: {} },
  ): Promise<Readonly<Record<string, string>>> {
    await this.ask("Return", ReturnRequestSchema, value, EmptySchema);
    return fromBinary(SolveResponseSchema, await this.#solving).exporterResponse;
  }

  /** The client goes away. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#forever.abort(new Error("over"));
    this.#client.close();
    await this.#client.closed;
  }
}
