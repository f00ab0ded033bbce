/**
 * A low-level build definition as a graph. Each operation is known by the sha256 of its bytes and names its inputs
 * by theirs, so a graph has no circle. The last operation of a definition is no work: it points at the result.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { NaruError } from "#lib/errors.ts";
import {
  DefinitionSchema,
  type FileAction,
  type Op,
  type OpMetadata,
  OpMetadataSchema,
  OpSchema,
} from "#spec/buildkit/llb.gen.ts";
import { digestOf } from "#spec/image/digest.ts";
import type { Platform } from "#spec/image/platform.ts";

export interface LlbEdge {
  readonly digest: string;
  /** Which output of it. */
  readonly index: number;
}

export interface LlbVertex {
  readonly digest: string;
  readonly op: Op["op"];
  readonly inputs: readonly LlbEdge[];
  readonly platform: Op["platform"];
  readonly metadata: OpMetadata | undefined;
  /** For people. */
  readonly name: string;
}

export interface LlbGraph {
  readonly vertices: ReadonlyMap<string, LlbVertex>;
  /** undefined: an empty tree. */
  readonly result: LlbEdge | undefined;
}

const OPS_MAX = 10_000;

const malformed = (reason: string): NaruError =>
  new NaruError("invalid_argument", `malformed LLB definition: ${reason}`);

const actionName = ({ action }: FileAction): string => {
  switch (action.case) {
    case "copy":
      return `copy ${action.value.src} ${action.value.dest}`;
    case "mkfile":
      return `mkfile ${action.value.path}`;
    case "mkdir":
      return `mkdir ${action.value.path}`;
    case "rm":
      return `rm ${action.value.path}`;
    case "symlink":
      return `symlink ${action.value.oldpath} ${action.value.newpath}`;
    case undefined:
      return "nothing";
  }
};

const nameOf = ({ op }: Op, metadata: OpMetadata | undefined): string => {
  const given = metadata?.description["llb.customname"];
  if (given !== undefined && given !== "") return given;
  switch (op.case) {
    case "exec":
      return (op.value.meta?.args ?? []).join(" ");
    case "source":
      return op.value.identifier;
    case "file":
      return op.value.actions.map(actionName).join(", ");
    case "build":
    case "merge":
    case "diff":
    case "passthrough":
    case undefined:
      return op.case ?? "result";
  }
};

const edgesOf = (op: Op): LlbEdge[] =>
  op.inputs.map(({ digest, index }) => ({ digest, index: Number(index) }));

/** Throws invalid_argument. */
export const decodeDefinition = (bytes: Uint8Array): LlbGraph => {
  const { def, metadata } = fromBinary(DefinitionSchema, bytes);
  if (def.length === 0) return { vertices: new Map(), result: undefined };
  if (def.length > OPS_MAX) throw malformed(`${def.length} operations; ${OPS_MAX} are the most`);
  const vertices = new Map<string, LlbVertex>();
  const ops = def.map((one) => ({ digest: digestOf(one), op: fromBinary(OpSchema, one) }));
  for (const { digest, op } of ops) {
    const own = metadata[digest];
    vertices.set(digest, {
      digest,
      op: op.op,
      inputs: edgesOf(op),
      platform: op.platform,
      metadata: own,
      name: nameOf(op, own),
    });
  }
  for (const { name, inputs } of vertices.values()) {
    const missing = inputs.find(({ digest }) => !vertices.has(digest));
    if (missing !== undefined)
      throw malformed(`"${name}" needs ${missing.digest}, which is not there`);
  }
  const last = ops.at(-1);
  if (last === undefined || last.op.op.case !== undefined || last.op.inputs.length !== 1) {
    throw malformed("the last operation must name the result");
  }
  vertices.delete(last.digest);
  return { vertices, result: edgesOf(last.op)[0] };
};

/** The definition of one source, for what is known by an identifier alone. */
export const sourceDefinition = (
  identifier: string,
  attrs: Readonly<Record<string, string>> = {},
  platform?: Platform,
): Uint8Array => {
  const op = create(OpSchema, {
    op: { case: "source", value: { identifier, attrs: { ...attrs } } },
    ...(platform === undefined
      ? {}
      : {
          platform: {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant ?? "",
          },
        }),
  });
  const source = toBinary(OpSchema, op);
  const inputs = [{ digest: digestOf(source), index: 0n }];
  const head = toBinary(OpSchema, create(OpSchema, { inputs }));
  // Clients take a definition without any metadata for none.
  const metadata = { [digestOf(source)]: create(OpMetadataSchema, { description: {} }) };
  return toBinary(DefinitionSchema, create(DefinitionSchema, { def: [source, head], metadata }));
};
