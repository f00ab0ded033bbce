/** COPY and ADD: where their files come from. */
import { mkdirSync, writeFileSync } from "node:fs";
import { posix } from "node:path";
import { fetchSource, isRemoteSource } from "#build/fetch.ts";
import { shellOf } from "#build/metadata-step.ts";
import { type CopyFrom, copyVertex } from "#build/op/copy.ts";
import type { Planned, StagePoint } from "#build/plan.ts";
import type { AddInstruction, CopyInstruction, Word } from "#spec/dockerfile/dockerfile.ts";

const inlineFiles = (
  session: StagePoint["session"],
  scope: StagePoint["scope"],
  instruction: CopyInstruction | AddInstruction,
): CopyFrom => {
  const { root } = session.temporaryTree("inline");
  mkdirSync(root, { recursive: true, mode: 0o755 });
  for (const { path, content, isExpanded } of instruction.inlineFiles) {
    const text = isExpanded
      ? scope.placed({ range: instruction.range }, () =>
          scope.text(content, { escape: "\\", ignoresQuotes: true }),
        )
      : content;
    writeFileSync(`${root}/${posix.basename(path)}`, text, { mode: 0o644 });
  }
  const tree = {
    name: "here-documents",
    root,
    digests: new Map<string, string>(),
    hasOwners: false,
    layers: undefined,
    hint: "",
  };
  const sources = instruction.inlineFiles.map(({ path }) => posix.basename(path));
  return { tree, sources, isUnpacked: false };
};

const copySources = async (
  { session, stage, scope, step }: StagePoint,
  instruction: CopyInstruction | AddInstruction,
): Promise<CopyFrom[]> => {
  const sources = instruction.sources.map((word) => scope.expand(word));
  const isAdd = instruction.name === "ADD";
  const remote = isAdd ? sources.filter(isRemoteSource) : [];
  const local = sources.filter((source) => !remote.includes(source));
  const from: CopyFrom[] = [];
  if (local.length > 0) {
    const name = isAdd ? "" : (instruction.from?.text ?? "");
    const tree = await session.treeOf(name, stage, step);
    from.push({ tree, sources: local, isUnpacked: isAdd && instruction.unpack !== false });
  }
  for (const url of remote) {
    if (!isAdd) continue;
    const checksum =
      instruction.checksum === undefined ? undefined : scope.expand(instruction.checksum);
    const fetched = await fetchSource(session, url, {
      checksum,
      keepsGitDirectory: instruction.keepGitDir ?? false,
    });
    from.push({ ...fetched, isUnpacked: instruction.unpack === true });
  }
  if (instruction.inlineFiles.length > 0) from.push(inlineFiles(session, scope, instruction));
  return from;
};

/** COPY, ADD. */
export const planCopy = async (
  point: StagePoint,
  instruction: CopyInstruction | AddInstruction,
): Promise<Planned> => {
  const { session, scope, state } = point;
  const { dependencies, signal } = session;
  const from = await copySources(point, instruction);
  const optional = (word: Word | undefined): string | undefined =>
    word === undefined ? undefined : scope.expand(word);
  const vertex = await copyVertex(
    dependencies,
    {
      keyword: instruction.name,
      from,
      destination: scope.expand(instruction.destination),
      workingDir: state.config.WorkingDir ?? "/",
      chown: optional(instruction.chown),
      chmod: optional(instruction.chmod),
      excludes: instruction.excludes.map((word) => word.text),
      isParents: instruction.name === "COPY" && instruction.isParents,
      isLink: instruction.isLink,
      parent: state.chainId,
    },
    signal,
  );
  const { config } = state;
  const createdBy = `${shellOf(config).join(" ")} #(nop) ${instruction.name} ${vertex.content}`;
  return { vertex, config, createdBy };
};
