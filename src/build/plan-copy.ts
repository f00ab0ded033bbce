/** COPY and ADD: where their files come from. */
import { mkdirSync, writeFileSync } from "node:fs";
import { posix } from "node:path";
import { fetchGit, fetchUrl } from "#build/fetch.ts";
import { type CopyFrom, copyVertex, numericOwner } from "#build/op/copy.ts";
import type { Planned, StagePoint } from "#build/plan.ts";
import { contextTree } from "#build/trees.ts";
import type { CopyStep } from "#spec/dockerfile/plan.ts";

const inlineFiles = ({ session }: StagePoint, step: CopyStep): CopyFrom => {
  const { root } = session.temporaryTree("inline");
  mkdirSync(root, { recursive: true, mode: 0o755 });
  for (const { name, content } of step.inlineFiles) {
    writeFileSync(`${root}/${posix.basename(name)}`, content, { mode: 0o644 });
  }
  const tree = contextTree({ root, digests: new Map(), hint: "" }, "here-documents");
  const sources = step.inlineFiles.map(({ name }) => posix.basename(name));
  return { tree, sources, isUnpacked: false };
};

const copySources = async (point: StagePoint, step: CopyStep): Promise<CopyFrom[]> => {
  const { session, plan } = point;
  const from: CopyFrom[] = [];
  const local = step.origins.flatMap((origin) =>
    origin.kind === "path" || origin.kind === "parents" ? [origin.written] : [],
  );
  if (local.length > 0) {
    const tree = await session.treeOf(step.from, plan, point.step);
    from.push({ tree, sources: local, isUnpacked: step.unpacksLocal });
  }
  for (const origin of step.origins) {
    if (origin.kind === "url") {
      const fetched = await fetchUrl(session, origin.url, step.checksum);
      from.push({ ...fetched, isUnpacked: step.unpacksUrls });
    } else if (origin.kind === "git") {
      from.push({ ...(await fetchGit(session, origin.git)), isUnpacked: false });
    }
  }
  if (step.inlineFiles.length > 0) from.push(inlineFiles(point, step));
  return from;
};

/** A layer of its own knows no names of users: those of the files below are looked up before. */
const ownerOfLinked = ({ session, state }: StagePoint, { chown }: CopyStep): string | undefined => {
  if (chown === undefined) return undefined;
  const { root } = session.trees.tree(state.chainId, "the files below");
  const { keepsStepImages: isClassic } = session.request;
  return numericOwner(session.dependencies, root, { chown, isClassic });
};

/** COPY, ADD. */
export const planCopy = async (point: StagePoint, step: CopyStep): Promise<Planned> => {
  const { session, state } = point;
  const vertex = await copyVertex(
    session.dependencies,
    {
      keyword: step.isAdd ? "ADD" : "COPY",
      from: await copySources(point, step),
      destination: step.destination,
      chown: step.isLink ? ownerOfLinked(point, step) : step.chown,
      chmod: step.chmod,
      excludes: step.excludes,
      isParents: step.origins.some(({ kind }) => kind === "parents"),
      isLink: step.isLink,
      isClassic: session.request.keepsStepImages,
      parent: state.chainId,
    },
    session.signal,
  );
  return { vertex, content: vertex.content };
};
