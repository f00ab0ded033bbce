/** The exporters "local" and "tar": results as files of the client, and what is attested of them beside. */
import { createHash } from "node:crypto";

import { attestationsOf } from "#api/docker/buildkit/attested.ts";
import { FILE_SEND, sendFiles, sendStream } from "#api/docker/buildkit/file-send.ts";
import { flagOf } from "#api/docker/buildkit/format.ts";
import type { ExporterOptions } from "#api/docker/buildkit/jobs.ts";
import { hasPlatforms, resultsOf } from "#api/docker/buildkit/pack.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import { PROVENANCE_TYPES } from "#build/attest/provenance.ts";
import { SPDX_TYPE } from "#build/attest/spdx.ts";
import type { BuildResult } from "#build/build.ts";
import { type OutputDocument, OutputFiles, type OutputPart } from "#build/output-files.ts";
import type { ResultFiles } from "#build/result-files.ts";
import { type Attestation, statementText } from "#image/bundle-index.ts";
import { nowNs } from "#lib/clock.ts";
import { FairTurn } from "#lib/fair-turn.ts";
import { NaruError } from "#lib/errors.ts";
import { formatPlatform } from "#spec/image/platform.ts";

/** Beyond it, files are of no common kind. */
const GO_TYPE_BITS = 2 ** 24;

interface Subject {
  readonly name: string;
  readonly digest: { readonly sha256: string };
}

/** Every file with its digest, as the subjects of a statement. Others have their turn between pieces. */
const subjectsOf = async (files: ResultFiles, signal: AbortSignal): Promise<Subject[]> => {
  const turn = new FairTurn();
  const subjects: Subject[] = [];
  for (const { path, goMode } of files.nodes()) {
    if (goMode >= GO_TYPE_BITS) continue;
    const hash = createHash("sha256");
    for (const chunk of files.read(path)) {
      hash.update(chunk);
      if (turn.isOver) await turn.yield();
    }
    if (turn.isOver) await turn.yield();
    signal.throwIfAborted();
    subjects.push({ name: path, digest: { sha256: hash.digest("hex") } });
  }
  return subjects;
};

const fileName = ({ predicateType, fileName: own }: Attestation): string => {
  if (own !== undefined) return own;
  if (predicateType === SPDX_TYPE) return "sbom.spdx.json";
  return Object.values<string>(PROVENANCE_TYPES).includes(predicateType)
    ? "provenance.json"
    : "attestation.json";
};

const documentsOf = async (
  context: SolveContext,
  { attributes }: ExporterOptions,
  result: BuildResult,
  files: ResultFiles,
): Promise<OutputDocument[]> => {
  const attestations = await attestationsOf(context, result, false);
  if (attestations.length === 0) return [];
  const prefix = attributes["attestation-prefix"] ?? "";
  if (prefix.includes("/")) {
    throw new NaruError("invalid_argument", `"attestation-prefix=${prefix}" holds a "/"`);
  }
  const names = attestations.map((one) => `${prefix}${fileName(one)}`);
  const double = names.find((name, index) => names.indexOf(name) !== index);
  if (double !== undefined) {
    throw new NaruError("invalid_argument", `duplicate attestation path name ${double}`);
  }
  const subjects = await subjectsOf(files, context.signal);
  return attestations.map((one, index) => ({
    name: names[index] ?? "",
    text: statementText(one, subjects),
  }));
};

/** One for each platform; disposing of `held` lets go of their files. */
const partsOf = async (
  context: SolveContext,
  exporter: ExporterOptions,
  result: BuildResult,
  held: DisposableStack,
): Promise<readonly OutputPart[]> => {
  const builds = await context.backend.builds();
  const results = resultsOf(result);
  const isSeveral = hasPlatforms(context, result);
  // In an archive the choice is not the client's, as with BuildKit.
  const isSplit =
    exporter.type === "tar" ? isSeveral : flagOf(exporter.attributes, "platform-split", isSeveral);
  if (!isSplit && results.length > 1) {
    const reason = "files of several platforms in one directory are not supported by naru";
    throw new NaruError("not_implemented", `${reason}: leave platform-split out`);
  }
  const parts: OutputPart[] = [];
  for (const one of results) {
    const files = held.use(builds.resultFiles(one.chainId));
    const directory = isSplit ? formatPlatform(one.platform).replaceAll("/", "_") : "";
    const documents = await documentsOf(context, exporter, one, files);
    parts.push({ directory, files, documents });
  }
  return parts;
};

const epochOf = ({ job }: SolveContext): number => {
  const given = job.attributes["build-arg:SOURCE_DATE_EPOCH"] ?? "";
  return given === "" ? Number(nowNs() / 1_000_000_000n) : Number(given);
};

export const exportFiles = async (
  context: SolveContext,
  exporter: ExporterOptions,
  result: BuildResult,
  position: number,
): Promise<Record<string, string>> => {
  const { job, session, sink, signal } = context;
  const what = `exporting to client ${exporter.type === "tar" ? "tarball" : "directory"}`;
  const vertex = new ShownVertex(job.log, job.ref, what);
  await vertex.around(async () => {
    using held = new DisposableStack();
    const parts = await partsOf(context, exporter, result, held);
    const files = new OutputFiles(parts, epochOf(context));
    // Who has no session makes files out of a tar.
    const isTar = exporter.type === "tar" || sink !== undefined;
    if (isTar) return await sendStream(context, position, files.tar());
    if (session === undefined) throw new NaruError("invalid_argument", "files need a session");
    const metadata = { "buildkit-attachable-exporter-id": String(position) };
    const bytes = await sendFiles(session.client.stream(FILE_SEND, metadata, signal), files);
    await vertex.status("copying files", bytes, bytes, true);
  });
  return {};
};
