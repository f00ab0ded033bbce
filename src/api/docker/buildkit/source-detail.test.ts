import { expect, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";

import { rangeAt, sourceDetail } from "#api/docker/buildkit/source-detail.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";

const told = (text: string, line: number): unknown => {
  const range = rangeAt(parseDockerfile(text), line);
  if (range === undefined) return undefined;
  const bytes = sourceDetail("Dockerfile", text, range);
  if (bytes === undefined) return "too large";
  const { typeUrl, value } = fromBinary(AnySchema, bytes);
  const { info, ranges } = JSON.parse(Buffer.from(value).toString());
  return [typeUrl, info.filename, Buffer.from(info.data, "base64").toString(), ranges];
};

test("a step is shown where it stands, over all of its lines", () => {
  const text = "FROM a\nRUN one \\\n  && two\nRUN three\n";
  expect(told(text, 2)).toEqual([
    "github.com/moby/buildkit/errdefs.Source+json",
    "Dockerfile",
    text,
    [{ start: { line: 2 }, end: { line: 3 } }],
  ]);
  expect(told(text, 3)).toBeUndefined();
});

test("of a long file the lines around it go, at their places", () => {
  const lines = Array.from({ length: 5000 }, (_, index) => `RUN step ${index + 2}`);
  const [, , text] = told(["FROM a", ...lines].join("\n"), 3000) as string[];
  const shown = text!.split("\n");
  expect(shown.length).toBe(3008);
  expect(shown.filter((line) => line !== "").length).toBe(17);
  expect(shown[2999]).toBe("RUN step 3000");
});

test("what is too large for a trailer is left out", () => {
  expect(told(`FROM a\nRUN ${"x".repeat(20_000)}`, 2)).toBe("too large");
});
