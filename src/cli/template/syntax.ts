/** The tree of a parsed template. */
export type Operand =
  | { readonly kind: "dot" }
  | { readonly kind: "nil" }
  | { readonly kind: "literal"; readonly value: string | number | boolean }
  | { readonly kind: "field"; readonly chain: readonly string[] }
  | { readonly kind: "variable"; readonly name: string; readonly chain: readonly string[] }
  | { readonly kind: "call"; readonly name: string }
  | { readonly kind: "group"; readonly pipeline: Pipeline; readonly chain: readonly string[] };

/** One link of a pipeline: an operand and its arguments. */
export type Link = readonly Operand[];

export interface Pipeline {
  readonly variables: readonly string[];
  /** `$x = …` instead of `$x := …`. */
  readonly isAssignment: boolean;
  readonly links: readonly Link[];
}

export interface ControlNode {
  readonly kind: "if" | "with" | "range";
  readonly pipeline: Pipeline;
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
}

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipeline: Pipeline }
  | ControlNode
  | { readonly kind: "break" }
  | { readonly kind: "continue" };
