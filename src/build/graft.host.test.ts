/** A layer under two names, in both forms: the one that stands alone stays what it was. */
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { graftLayer } from "#build/graft.ts";
import { FORMS, testStore } from "#snapshot/store-fixture.fake.ts";
import { directory, file } from "#snapshot/tar-fixture.fake.ts";

for (const form of FORMS) {
  test(`a layer in the form ${form} is put on another, and taken from under it`, async () => {
    await using t = testStore(form);
    const work = `${t.directory}/work`;
    mkdirSync(work);
    const dependencies = { snapshots: t.store, paths: { work } } as unknown as Parameters<
      typeof graftLayer
    >[0];
    const parent = await t.stack([directory("./", { mode: 0o700, uid: 7 }), file("base", "base")]);
    const alone = await t.stack([file("own", "own")]);
    const { signal } = new AbortController();
    const grafted = (await graftLayer(dependencies, alone, parent, signal))!;
    expect(t.store.chain(grafted).map((layer) => [layer.chainId, layer.form])).toEqual([
      [grafted, form],
      [parent, form],
    ]);
    expect(await graftLayer(dependencies, alone, parent, signal)).toBe(grafted);
    expect(readdirSync(work)).toEqual([]);
    {
      using both = t.store.view(grafted);
      expect(readdirSync(both.path).toSorted()).toEqual(["base", "own"]);
      // The root is that of the layers below.
      expect([statSync(both.path).mode & 0o7777, statSync(both.path).uid]).toEqual([0o700, 7]);
      using own = t.store.view(alone);
      expect([readdirSync(own.path), statSync(own.path).mode & 0o7777]).toEqual([["own"], 0o755]);
    }
    if (form === "erofs") {
      for (const chainId of [alone, grafted]) {
        expect(await t.store.verifyLayer(chainId, { repairs: false })).toBe("good");
      }
    }
    t.store.removeLayer(alone);
    await t.store.idle();
    using left = t.store.view(grafted);
    expect(readFileSync(`${left.path}/own`, "utf8")).toBe("own");
  });
}
