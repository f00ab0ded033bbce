/** Runs a parsed template over JSON values or rows (records whose fields may be functions). */
import { executionError } from "#cli/template/errors.ts";
import { functions } from "#cli/template/functions.ts";
import type { TemplateFunction } from "#cli/template/functions.ts";
import type { ControlNode, Link, Node, Operand, Pipeline } from "#cli/template/syntax.ts";
import { fieldOf, formatValue, isRecord, isTrue } from "#cli/template/values.ts";
import { NaruError } from "#lib/errors.ts";

export interface EvaluateOptions {
  readonly functions?: Readonly<Record<string, TemplateFunction>>;
  /** Fields that may be absent from JSON and then count as nil instead of as a mistake. */
  readonly optionalFields?: ReadonlySet<string>;
}

interface Result {
  readonly value: unknown;
  /** The field's name, for how its null prints. */
  readonly key?: string;
}

/** Control flow of `range`, thrown within this file only. */
class LoopSignal {
  readonly kind: "break" | "continue";
  constructor(kind: "break" | "continue") {
    this.kind = kind;
  }
}

class Evaluator {
  readonly #functions: Readonly<Record<string, TemplateFunction>>;
  readonly #optional: ReadonlySet<string>;
  readonly #scopes: Map<string, unknown>[];
  #output = "";

  constructor(root: unknown, options: EvaluateOptions) {
    this.#functions = options.functions ?? functions;
    this.#optional = options.optionalFields ?? new Set();
    this.#scopes = [new Map([["$", root]])];
  }

  get output(): string {
    return this.#output;
  }

  run(nodes: readonly Node[], dot: unknown): void {
    for (const node of nodes) {
      if (node.kind === "text") {
        this.#output += node.text;
      } else if (node.kind === "print") {
        const result = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.variables.length === 0) {
          this.#output += formatValue(materialize(result.value), result.key);
        }
      } else if (node.kind === "break" || node.kind === "continue") {
        throw new LoopSignal(node.kind);
      } else {
        this.#control(node, dot);
      }
    }
  }

  #control(node: ControlNode, dot: unknown): void {
    this.#scopes.push(new Map());
    const isRange = node.kind === "range";
    const { value } = this.#pipeline(node.pipeline, dot, isRange);
    if (isRange) this.#range(node, dot, value);
    else if (isTrue(value)) this.run(node.body, node.kind === "with" ? value : dot);
    else this.run(node.otherwise, dot);
    this.#scopes.pop();
  }

  #range(node: ControlNode, dot: unknown, value: unknown): void {
    const entries = rangeEntries(value);
    if (entries.length === 0) {
      this.run(node.otherwise, dot);
      return;
    }
    const [first, second] = node.pipeline.variables;
    for (const [key, item] of entries) {
      if (second !== undefined && first !== undefined) {
        this.#declare(first, key);
        this.#declare(second, item);
      } else if (first !== undefined) {
        this.#declare(first, item);
      }
      this.#scopes.push(new Map());
      const depth = this.#scopes.length;
      try {
        this.run(node.body, item);
      } catch (signal) {
        if (!(signal instanceof LoopSignal)) throw signal;
        this.#scopes.length = depth;
        if (signal.kind === "break") return;
      } finally {
        this.#scopes.length = depth - 1;
      }
    }
  }

  #declare(name: string, value: unknown): void {
    this.#scopes.at(-1)?.set(name, value);
  }

  #pipeline(pipeline: Pipeline, dot: unknown, isRange = false): Result {
    let result: Result = { value: undefined };
    for (const [at, link] of pipeline.links.entries()) {
      result = this.#link(link, dot, at === 0 ? [] : [result.value]);
    }
    const [name] = pipeline.variables;
    if (name !== undefined && !isRange) this.#assign(name, result.value, pipeline.isAssignment);
    return result;
  }

  #assign(name: string, value: unknown, isAssignment: boolean): void {
    if (!isAssignment) {
      this.#declare(name, value);
      return;
    }
    const scope = this.#scopes.findLast((candidate) => candidate.has(name));
    if (scope === undefined) throw executionError(name, `undefined variable "${name}"`);
    scope.set(name, value);
  }

  #link(link: Link, dot: unknown, piped: readonly unknown[]): Result {
    const [head, ...rest] = link;
    if (head === undefined) return { value: undefined };
    if (head.kind === "call") return { value: this.#call(head.name, rest, dot, piped) };
    if (head.kind === "field" || head.kind === "variable" || head.kind === "group") {
      const values = [...rest.map((operand) => this.#operand(operand, dot).value), ...piped];
      return this.#operand(head, dot, values);
    }
    if (rest.length > 0 || piped.length > 0) {
      throw executionError(describe(head), "can't give argument to non-function");
    }
    return this.#operand(head, dot);
  }

  #call(name: string, rest: readonly Operand[], dot: unknown, piped: readonly unknown[]): unknown {
    if (name === "and" || name === "or") {
      let value: unknown;
      for (const operand of rest) {
        value = this.#operand(operand, dot).value;
        if (isTrue(value) === (name === "or")) return value;
      }
      return piped.length > 0 ? piped[0] : value;
    }
    const call = this.#functions[name];
    const values = [
      ...rest.map((operand) => materialize(this.#operand(operand, dot).value)),
      ...piped.map(materialize),
    ];
    try {
      return call?.(...values);
    } catch (error) {
      if (error instanceof NaruError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw executionError(name, `error calling ${name}: ${reason}`);
    }
  }

  #operand(operand: Operand, dot: unknown, values: readonly unknown[] = []): Result {
    switch (operand.kind) {
      case "dot":
        return { value: dot };
      case "nil":
        return { value: null };
      case "literal":
        return { value: operand.value };
      case "field":
        return this.#chain(dot, operand.chain, values);
      case "variable": {
        const scope = this.#scopes.findLast((candidate) => candidate.has(operand.name));
        if (scope === undefined) {
          throw executionError(operand.name, `undefined variable "${operand.name}"`);
        }
        return this.#chain(scope.get(operand.name), operand.chain, values);
      }
      case "call":
        return { value: this.#call(operand.name, [], dot, []) };
      case "group":
        return this.#chain(this.#pipeline(operand.pipeline, dot).value, operand.chain, values);
    }
  }

  #chain(start: unknown, chain: readonly string[], values: readonly unknown[]): Result {
    let value = start;
    let key: string | undefined;
    for (const [at, name] of chain.entries()) {
      const isLast = at === chain.length - 1;
      value = this.#field(value, name, isLast ? values : [], chain);
      key = name;
    }
    return key === undefined ? { value } : { value, key };
  }

  #field(
    owner: unknown,
    name: string,
    values: readonly unknown[],
    chain: readonly string[],
  ): unknown {
    const where = `.${chain.join(".")}`;
    if (owner === undefined || owner === null) {
      throw executionError(where, `nil pointer evaluating interface {}.${name}`);
    }
    if (!isRecord(owner)) {
      const type = Array.isArray(owner) ? "[]interface {}" : typeof owner;
      throw executionError(where, `can't evaluate field ${name} in type ${type}`);
    }
    const found = fieldOf(owner, name);
    if (found === undefined) {
      if (this.#optional.has(name) && chain.at(-1) === name) return null;
      // Labels and the like are maps, whose missing keys Go passes over.
      if (chain.length > 1 && Object.values(owner).every((item) => typeof item === "string")) {
        return undefined;
      }
      throw executionError(where, `map has no entry for key "${name}"`);
    }
    if (typeof found.value === "function") {
      return (found.value as TemplateFunction)(...values);
    }
    if (values.length > 0)
      throw executionError(where, `${name} has arguments but cannot be invoked as function`);
    return found.value;
  }
}

const describe = (operand: Operand): string =>
  operand.kind === "literal" ? String(operand.value) : operand.kind;

const rangeEntries = (value: unknown): [unknown, unknown][] => {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map((item: unknown, at) => [at, item]);
  if (isRecord(value)) {
    return Object.keys(value)
      .toSorted()
      .map((key) => [key, value[key]]);
  }
  if (typeof value === "number") return Array.from({ length: value }, (_item, at) => [at, at]);
  throw executionError("range", `range can't iterate over ${formatValue(value)}`);
};

/** A row as plain data, keys in order: fields that want an argument are not data. */
export const materialize = (value: unknown): unknown => {
  if (!isRecord(value) || !Object.values(value).some((item) => typeof item === "function")) {
    return value;
  }
  const plain: Record<string, unknown> = {};
  for (const key of Object.keys(value).toSorted()) {
    const item = value[key];
    if (typeof item !== "function") plain[key] = item;
    else if (item.length === 0) plain[key] = (item as TemplateFunction)();
  }
  return plain;
};

/** Throws invalid_argument naming the field or function that failed. */
export const evaluate = (
  nodes: readonly Node[],
  root: unknown,
  options: EvaluateOptions = {},
): string => {
  const evaluator = new Evaluator(root, options);
  evaluator.run(nodes, root);
  return evaluator.output;
};
