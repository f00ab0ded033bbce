/**
 * Variables in values: `$NAME`, `${NAME}`, `${NAME:-default}` `-`, `:?` `?`, `:+` `+`, nested, and
 * `$$` for a dollar sign. Keys are never touched.
 */
import type { Node } from "#spec/compose/node.ts";
import { list, map, placedError, scalar } from "#spec/compose/node.ts";

export interface Variables {
  lookup(name: string): string | undefined;
  /** A variable without value was read as "". */
  onUnset(name: string): void;
}

/** Thrown by `substitute`; the caller knows where. */
export class InterpolationError extends Error {}

const NAME = /^[A-Za-z_]\w*/;

const invalid = (text: string): InterpolationError =>
  new InterpolationError(
    `"${text}" is no valid use of variables; write $$ where a dollar sign is meant`,
  );

/** Where the brace opened just before `from` closes. */
const closingBrace = (text: string, from: number): number => {
  let depth = 1;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === "$" && text[at + 1] === "{") {
      depth += 1;
      at += 1;
    } else if (text[at] === "}") {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
};

const MAX_DEPTH = 32;

const expand = (inside: string, whole: string, variables: Variables, depth: number): string => {
  const name = NAME.exec(inside)?.[0];
  if (name === undefined) throw invalid(whole);
  const rest = inside.slice(name.length);
  const value = variables.lookup(name);
  if (rest === "") {
    if (value === undefined) variables.onUnset(name);
    return value ?? "";
  }
  const operator = /^:?[-?+]/.exec(rest)?.[0];
  if (operator === undefined) throw invalid(whole);
  const operand = rest.slice(operator.length);
  const isSet = value !== undefined && (operator.length === 1 || value !== "");
  if (operator.endsWith("-")) return isSet ? value : substitute(operand, variables, depth + 1);
  if (operator.endsWith("+")) return isSet ? substitute(operand, variables, depth + 1) : "";
  if (isSet) return value;
  const reason = substitute(operand, variables, depth + 1);
  throw new InterpolationError(
    `required variable ${name} is missing a value${reason === "" ? "" : `: ${reason}`}`,
  );
};

/** Throws InterpolationError. */
export const substitute = (text: string, variables: Variables, depth = 0): string => {
  if (!text.includes("$")) return text;
  if (depth > MAX_DEPTH) throw new InterpolationError(`"${text}" is nested too deeply`);
  let result = "";
  for (let at = 0; at < text.length;) {
    const dollar = text.indexOf("$", at);
    if (dollar < 0) return result + text.slice(at);
    result += text.slice(at, dollar);
    const next = text[dollar + 1];
    if (next === "$") {
      result += "$";
      at = dollar + 2;
    } else if (next === "{") {
      const end = closingBrace(text, dollar + 2);
      if (end < 0) throw invalid(text);
      result += expand(text.slice(dollar + 2, end), text, variables, depth);
      at = end + 1;
    } else {
      const name = NAME.exec(text.slice(dollar + 1))?.[0];
      // A dollar sign before anything else is itself: "5$", "$1".
      result += name === undefined ? "$" : expand(name, text, variables, depth);
      at = dollar + 1 + (name?.length ?? 0);
    }
  }
  return result;
};

const join = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);

/** Every value of the tree with its variables replaced. Throws with file, line and path. */
export const interpolate = (node: Node, variables: Variables, path = ""): Node => {
  if (node.kind === "map") {
    return map(
      node,
      [...node.entries].map(([key, value]) => [
        key,
        interpolate(value, variables, join(path, key)),
      ]),
    );
  }
  if (node.kind === "list") {
    return list(
      node,
      node.items.map((item, at) => interpolate(item, variables, `${path}[${String(at)}]`)),
    );
  }
  if (typeof node.value !== "string" || !node.value.includes("$")) return node;
  try {
    return scalar(node, substitute(node.value, variables));
  } catch (error) {
    if (!(error instanceof InterpolationError)) throw error;
    throw placedError(node.place, `${path}: ${error.message}`, error);
  }
};

/** Every variable a tree names, with the operators' words; for `config --variables`. */
export interface VariableUse {
  readonly name: string;
  readonly isRequired: boolean;
  readonly defaultValue: string;
  readonly presenceValue: string;
}

const usesIn = (text: string, uses: Map<string, VariableUse>): void => {
  for (let at = text.indexOf("$"); at >= 0; at = text.indexOf("$", at)) {
    if (text[at + 1] === "$") {
      at += 2;
      continue;
    }
    const end = text[at + 1] === "{" ? closingBrace(text, at + 2) : -1;
    const inside = end < 0 ? text.slice(at + 1) : text.slice(at + 2, end);
    const name = NAME.exec(inside)?.[0];
    if (name !== undefined) {
      const rest = end < 0 ? "" : inside.slice(name.length);
      const operator = /^:?[-?+]/.exec(rest)?.[0] ?? "";
      const operand = rest.slice(operator.length);
      if (!uses.has(name)) {
        uses.set(name, {
          name,
          isRequired: operator.endsWith("?"),
          defaultValue: operator.endsWith("-") ? operand : "",
          presenceValue: operator.endsWith("+") ? operand : "",
        });
      }
      usesIn(operand, uses);
    }
    at = end < 0 ? at + 1 : end + 1;
  }
};

export const variablesOf = (node: Node, uses = new Map<string, VariableUse>()): VariableUse[] => {
  if (node.kind === "map") for (const value of node.entries.values()) variablesOf(value, uses);
  else if (node.kind === "list") for (const item of node.items) variablesOf(item, uses);
  else if (typeof node.value === "string") usesIn(node.value, uses);
  return [...uses.values()];
};
