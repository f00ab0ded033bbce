import { describe } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createKernel } from "#kernel/real.ts";
import { type AppliedLayer, indexLayer } from "#snapshot/apply.ts";
import { layerContract } from "#snapshot/layer-contract.fake.ts";
import { once, tarOf } from "#snapshot/tar-fixture.fake.ts";

const kernel = createKernel();

describe("an indexed layer", () => {
  layerContract(async (root, entries, rest = {}): Promise<AppliedLayer> => {
    // The mount keeps the files, wherever they are.
    const target = mkdtempSync("/tmp/naru-index-");
    try {
      const source = once(tarOf(...entries));
      const applied = await indexLayer({ kernel, target, source, ...rest });
      mkdirSync(`${root}/layer`);
      const options = `device=${target}/layer.tar`;
      kernel.mount(`${target}/layer.erofs`, `${root}/layer`, "erofs", ["ro"], options);
      return applied;
    } finally {
      rmSync(target, { recursive: true });
    }
  });
});
