import { describe } from "bun:test";
import { createKernel } from "#kernel/real.ts";
import { applyLayer } from "#snapshot/apply.ts";
import { layerContract } from "#snapshot/layer-contract.fake.ts";
import { once, tarOf } from "#snapshot/tar-fixture.fake.ts";

const kernel = createKernel();

describe("a layer in a directory", () => {
  layerContract((root, entries, rest = {}) =>
    applyLayer({ kernel, target: `${root}/layer`, source: once(tarOf(...entries)), ...rest }),
  );
});
