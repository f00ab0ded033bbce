/** LLB definitions made by hand. */
import { type MessageInitShape, create, toBinary } from "@bufbuild/protobuf";

import {
  DefinitionSchema,
  type Op,
  type OpMetadata,
  OpMetadataSchema,
  OpSchema,
} from "#spec/buildkit/llb.gen.ts";
import { digestOf } from "#spec/image/digest.ts";

type OpInit = NonNullable<Parameters<typeof create<typeof OpSchema>>[1]>;

/** Operations in the order they are added; each is pointed at by what `add` gives. */
export class Definition {
  readonly #ops: Uint8Array[] = [];
  readonly #metadata: Record<string, OpMetadata> = {};

  add(
    op: OpInit["op"],
    inputs: readonly Op["inputs"][number][] | readonly InputOf[] = [],
  ): InputOf {
    const bytes = toBinary(OpSchema, create(OpSchema, { op, inputs: [...inputs] } as OpInit));
    this.#ops.push(bytes);
    return { digest: digestOf(bytes), index: 0n };
  }

  /** What stands beside the operation, and is no part of it. */
  describe({ digest }: InputOf, metadata: MessageInitShape<typeof OpMetadataSchema>): void {
    this.#metadata[digest] = create(OpMetadataSchema, metadata);
  }

  encode(result: InputOf): Uint8Array {
    const head = toBinary(OpSchema, create(OpSchema, { inputs: [result] }));
    return toBinary(
      DefinitionSchema,
      create(DefinitionSchema, { def: [...this.#ops, head], metadata: this.#metadata }),
    );
  }
}

export interface InputOf {
  readonly digest: string;
  readonly index: bigint;
}
