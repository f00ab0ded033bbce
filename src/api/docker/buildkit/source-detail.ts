/**
 * Where in a Dockerfile a build failed, for clients that show the place: BuildKit's `errdefs.Source`, which goes as
 * JSON among the details of a call's status (github.com/moby/buildkit/solver/errdefs).
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";

import type { Dockerfile, SourceRange } from "#spec/dockerfile/dockerfile.ts";

const TYPE_URL = "github.com/moby/buildkit/errdefs.Source+json";
/** Clients show four lines on each side; what is farther is not sent. */
const MARGIN_LINES = 8;
/** Trailers are small: clients and servers limit them. What does not fit is told without its place. */
const DETAIL_LIMIT_BYTES = 16 * 1024;

/** Of the instruction that begins at `line`; undefined where none does. */
export const rangeAt = ({ stages }: Dockerfile, line: number): SourceRange | undefined =>
  stages
    .flatMap(({ from, instructions }) => [from, ...instructions])
    .find(({ range }) => range.start.line === line)?.range;

/** The lines around a range at their places, nothing else. */
const linesAround = (text: string, { start, end }: SourceRange): string =>
  text
    .split("\n", end.line + MARGIN_LINES)
    .map((line, index) => (index + 1 < start.line - MARGIN_LINES ? "" : line))
    .join("\n");

/** An encoded google.protobuf.Any; undefined for one that would be too large. */
export const sourceDetail = (
  filename: string,
  text: string,
  range: SourceRange,
): Uint8Array | undefined => {
  const data = Buffer.from(linesAround(text, range)).toString("base64");
  const at = ({ line }: SourceRange["start"]) => ({ line });
  const source = {
    info: { filename, data, language: "Dockerfile" },
    ranges: [{ start: at(range.start), end: at(range.end) }],
  };
  const value = Buffer.from(JSON.stringify(source));
  if (value.length > DETAIL_LIMIT_BYTES) return undefined;
  return toBinary(AnySchema, create(AnySchema, { typeUrl: TYPE_URL, value }));
};
