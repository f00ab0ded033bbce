/**
 * A frontend of a language of its own, as the program of an image: it speaks the gateway's protocol over its standard
 * input and output. Its text has a line for each step: `run SCRIPT`, `file PATH TEXT`, `arg NAME PATH` (a build
 * argument into a file), `net PATH` (the links that it sees itself), `forward FILE` (what a Dockerfile of the same context
 * gives), `attest KIND PATH TYPE` (of a predicate, 0, or a directory of statements, 1, in the
 * result), `warn TEXT`, `fail TEXT`, `exit CODE`, `wait`.
 */
import { readFileSync } from "node:fs";

import {
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  create,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";

import { GrpcClient } from "#api/grpc/client.ts";
import { duplexOf } from "#api/grpc/duplex.ts";
import { VertexWarningSchema } from "#spec/buildkit/control.gen.ts";
import {
  GatewaySolveRequestSchema,
  GatewaySolveResponseSchema,
  PongResponseSchema,
  ReadFileRequestSchema,
  ReadFileResponseSchema,
  ResolveImageConfigRequestSchema,
  ResolveImageConfigResponseSchema,
  ReturnRequestSchema,
} from "#spec/buildkit/gateway.gen.ts";

import { Definition, type InputOf } from "./llb-definition.ts";

const BASE = "docker.io/e2e/busybox:latest";
const PREFIX = "/moby.buildkit.v1.frontend.LLBBridge/";

const options = new Map(
  Object.entries(process.env).flatMap(([name, text = ""]): [string, string][] => {
    const at = text.indexOf("=");
    return name.startsWith("BUILDKIT_FRONTEND_OPT_")
      ? [[text.slice(0, at), text.slice(at + 1)]]
      : [];
  }),
);
const session = process.env["BUILDKIT_SESSION_ID"] ?? "";
const output = Bun.stdout.writer();
const forever = new AbortController().signal;
const client = new GrpcClient(
  duplexOf({
    input: process.stdin,
    signal: forever,
    write: async (data) => {
      await output.write(Uint8Array.from(Buffer.from(data)));
      await output.flush();
    },
    endOutput: () => undefined,
    dropInput: () => undefined,
  }),
);

const ask = async <In extends DescMessage, Out extends DescMessage>(
  method: string,
  request: In,
  value: MessageInitShape<In>,
  response: Out,
): Promise<MessageShape<Out>> => {
  const message = toBinary(request, create(request, value));
  return fromBinary(response, await client.call(`${PREFIX}${method}`, message, forever));
};

const solveBy = async (
  value: MessageInitShape<typeof GatewaySolveRequestSchema>,
): Promise<string> => {
  const { result: given } = await ask(
    "Solve",
    GatewaySolveRequestSchema,
    value,
    GatewaySolveResponseSchema,
  );
  return given?.result.case === "ref" ? given.result.value.id : "";
};

const solve = (definition: Definition, result: InputOf): Promise<string> =>
  solveBy({ definition: definition.encode(result), allowResultReturn: true });

const readText = async (): Promise<string> => {
  const filename = options.get("filename") ?? "Dockerfile";
  const definition = new Definition();
  const attrs = { "local.session": session, "local.followpaths": JSON.stringify([filename]) };
  const source = definition.add({
    case: "source",
    value: { identifier: "local://dockerfile", attrs } as never,
  });
  const ref = await solve(definition, source);
  const asked = { ref, filePath: filename };
  const { data } = await ask("ReadFile", ReadFileRequestSchema, asked, ReadFileResponseSchema);
  return Buffer.from(data).toString();
};

const giveBack = async (value: MessageInitShape<typeof ReturnRequestSchema>): Promise<void> => {
  await ask("Return", ReturnRequestSchema, value, PongResponseSchema);
};

class Steps {
  readonly definition = new Definition();
  readonly attested: { kind: number; path: string; inTotoPredicateType: string }[] = [];
  /** Of what another frontend made; the steps are nothing then. */
  forwarded: string | undefined;
  root: InputOf = this.definition.add({
    case: "source",
    value: { identifier: `docker-image://${BASE}` } as never,
  });

  run(script: string): void {
    const meta = { args: ["sh", "-c", script], cwd: "/" };
    const mounts = [{ input: 0n, dest: "/", output: 0n }];
    this.root = this.definition.add({ case: "exec", value: { meta, mounts } as never }, [
      this.root,
    ]);
  }

  file(path: string, text: string): void {
    const made = { path, mode: 0o644, data: Buffer.from(text), timestamp: -1n };
    const action = { case: "mkfile", value: made };
    const actions = [{ input: 0n, secondaryInput: -1n, output: 0n, action }];
    this.root = this.definition.add({ case: "file", value: { actions } as never }, [this.root]);
  }
}

const perform = async (steps: Steps, line: string): Promise<void> => {
  const [word = "", rest = ""] = line.split(/ (.*)/s);
  const [first = "", second = ""] = rest.split(/ (.*)/s);
  switch (word) {
    case "run":
      return steps.run(rest);
    case "file":
      return steps.file(first, second);
    case "arg":
      return steps.file(second, options.get(`build-arg:${first}`) ?? "none");
    case "net":
      return steps.file(rest, readFileSync("/proc/net/dev", "utf8"));
    case "attest": {
      const [path = "", inTotoPredicateType = ""] = second.split(" ");
      steps.attested.push({ kind: Number(first), path, inTotoPredicateType });
      return;
    }
    case "forward": {
      const frontendOpt = { ...Object.fromEntries(options), filename: rest };
      steps.forwarded = await solveBy({ frontend: "dockerfile.v0", frontendOpt });
      return;
    }
    case "warn":
      await ask(
        "Warn",
        VertexWarningSchema,
        { short: Buffer.from(rest), level: 1n },
        PongResponseSchema,
      );
      return;
    case "fail":
      await giveBack({ error: { code: 2, message: rest } });
      process.exit(1);
      break;
    case "exit":
      process.stderr.write("these are my last words\n");
      process.exit(Number(rest));
      break;
    case "wait":
      await new Promise(() => setInterval(() => undefined, 1000));
      break;
    case "#":
    case "":
      return;
    default:
      throw new Error(`unknown word "${word}"`);
  }
};

const pong = await ask("Ping", PongResponseSchema, {}, PongResponseSchema);
if (!pong.frontendCapabilities.some(({ id }) => id === "solve.base")) process.exit(3);
const steps = new Steps();
for (const line of (await readText()).split("\n")) await perform(steps, line);
const ref = steps.forwarded ?? (await solve(steps.definition, steps.root));
const base = await ask(
  "ResolveImageConfig",
  ResolveImageConfigRequestSchema,
  { ref: BASE },
  ResolveImageConfigResponseSchema,
);
const config = JSON.parse(Buffer.from(base.config).toString()) as {
  readonly os: string;
  readonly architecture: string;
  readonly config: { Env?: string[] };
};
const attestation = steps.attested.map((one) => ({ ...one, ref: { id: ref } }));
config.config.Env = [...(config.config.Env ?? []), "MADE_BY=a frontend"];
await giveBack({
  result: {
    result: { case: "ref", value: { id: ref } },
    metadata: { "containerimage.config": Buffer.from(JSON.stringify(config)) },
    ...(attestation.length === 0
      ? {}
      : { attestations: { [`${config.os}/${config.architecture}`]: { attestation } } }),
  },
});
process.exit(0);
