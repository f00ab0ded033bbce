import { expect, test } from "bun:test";
import { withoutEffect } from "#api/docker/buildkit/without-effect.ts";

test("what has no effect is told once", () => {
  const image = { type: "image", attributes: { name: "a", compression: "zstd" } };
  expect(withoutEffect({ "cache-imports": "[]" }, [])).toEqual([]);
  expect(withoutEffect({ filename: "Dockerfile" }, [{ type: "local", attributes: {} }])).toEqual(
    [],
  );
  expect(withoutEffect({ "cache-from": "a/b" }, [image, image])).toEqual([
    'the output\'s setting "compression" has no effect',
  ]);
});
