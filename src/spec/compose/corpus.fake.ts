/** The corpus of compose models: text files of cases, see corpus/README.md. */
import { readdirSync, readFileSync } from "node:fs";
import type { Inputs } from "#spec/compose/inputs.ts";

export interface Case {
  readonly title: string;
  /** File it stands in. */
  readonly file: string;
  /** By path relative to the project's folder. */
  readonly files: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  /** "config" or "error", and the text; undefined for a case just written. */
  readonly expected: { readonly kind: "config" | "error"; readonly text: string } | undefined;
  /** Why the reference tool gives something else; undefined when it gives the same. */
  readonly differs: string | undefined;
}

export const PROJECT_FOLDER = "/project";
export const CORPUS_FOLDER = `${import.meta.dir}/corpus`;

const parseCase = (file: string, block: string): Case => {
  const [head = "", ...sections] = block.split(/^--- /m);
  const files: Record<string, string> = {};
  const environment: Record<string, string> = {};
  let args: string[] = [];
  let expected: Case["expected"];
  let differs: string | undefined;
  for (const section of sections) {
    const cut = section.indexOf("\n");
    const name = section.slice(0, cut).trim();
    const text = section.slice(cut + 1);
    if (name === "config" || name === "error") expected = { kind: name, text };
    else if (name === "args") args = text.trim().split(/\s+/);
    else if (name === "differs") differs = text.trim();
    else if (name === "env") {
      for (const line of text.split("\n")) {
        const at = line.indexOf("=");
        if (at > 0) environment[line.slice(0, at)] = line.slice(at + 1);
      }
    } else files[name] = text;
  }
  return { title: head.trim(), file, files, environment, args, expected, differs };
};

export const readCorpus = (): Case[] =>
  readdirSync(CORPUS_FOLDER)
    .filter((name) => name.endsWith(".txt"))
    .toSorted()
    .flatMap((name) =>
      readFileSync(`${CORPUS_FOLDER}/${name}`, "utf8")
        .split(/^=== /m)
        .slice(1)
        .map((block) => parseCase(name, block)),
    );

export const printCase = (given: Case): string => {
  const lines = [`=== ${given.title}\n`];
  const add = (name: string, text: string): void => {
    lines.push(`--- ${name}\n${text.endsWith("\n") || text === "" ? text : `${text}\n`}`);
  };
  for (const [name, text] of Object.entries(given.files)) add(name, text);
  const variables = Object.entries(given.environment).map(([key, value]) => `${key}=${value}`);
  if (variables.length > 0) add("env", variables.join("\n"));
  if (given.args.length > 0) add("args", given.args.join(" "));
  if (given.differs !== undefined) add("differs", given.differs);
  if (given.expected !== undefined) add(given.expected.kind, given.expected.text);
  return lines.join("");
};

/** The case as `resolveInputs` wants it, with its files in memory. */
export const inputsOf = (given: Case): Inputs & { readonly named: readonly string[] } => {
  const options: Record<string, string[]> = {};
  const named: string[] = [];
  for (let at = 0; at < given.args.length; at += 1) {
    const word = given.args[at] ?? "";
    if (!word.startsWith("-")) {
      named.push(word);
      continue;
    }
    at += 1;
    (options[word] ??= []).push(given.args[at] ?? "");
  }
  return {
    source: {
      read: (path) =>
        path.startsWith(`${PROJECT_FOLDER}/`)
          ? given.files[path.slice(PROJECT_FOLDER.length + 1)]
          : undefined,
    },
    folder: PROJECT_FOLDER,
    environment: { HOME: "/home/user", ...given.environment },
    files: options["-f"] ?? [],
    name: options["-p"]?.[0],
    profiles: options["--profile"] ?? [],
    envFiles: options["--env-file"] ?? [],
    projectDirectory: options["--project-directory"]?.[0],
    named,
  };
};
