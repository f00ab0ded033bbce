/** LLB definitions made by hand. */
import { create, toBinary } from "@bufbuild/protobuf";

import { DefinitionSchema, type Op, OpSchema } from "#spec/buildkit/llb.gen.ts";
import { digestOf } from "#spec/image/digest.ts";

type OpInit = NonNullable<Parameters<typeof create<typeof OpSchema>>[1]>;

/** Operations in the order they are added; each is pointed at by what `add` gives. */
export class Definition {
  readonly #ops: Uint8Array[] = [];

  add(
    op: OpInit["op"],
    inputs: readonly Op["inputs"][number][] | readonly InputOf[] = [],
  ): InputOf {
    const bytes = toBinary(OpSchema, create(OpSchema, { op, inputs: [...inputs] } as OpInit));
    this.#ops.push(bytes);
    return { digest: digestOf(bytes), index: 0n };
  }

  encode(result: InputOf): Uint8Array {
    const head = toBinary(OpSchema, create(OpSchema, { inputs: [result] }));
    return toBinary(DefinitionSchema, create(DefinitionSchema, { def: [...this.#ops, head] }));
  }
}

export interface InputOf {
  readonly digest: string;
  readonly index: bigint;
}
