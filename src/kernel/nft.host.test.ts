import { afterAll, describe, expect, test } from "bun:test";
import { randomHex } from "#lib/clock.ts";
import type { NaruError } from "#lib/errors.ts";
import { createNftKernel } from "#kernel/nft.ts";

const table = `naru_test_${randomHex(4)}`;
const listed = (): string =>
  Bun.spawnSync(["nft", "list", "table", "inet", table]).stdout.toString();
afterAll(() => void Bun.spawnSync(["nft", "delete", "table", "inet", table], { stderr: "ignore" }));

const rejection = async (promise: Promise<unknown>): Promise<NaruError> => {
  const error: unknown = await promise.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  return error as NaruError;
};

describe.each([true, false])("with the library: %p", (isLibraryUsed) => {
  const nft = createNftKernel({ isLibraryUsed });

  test("applies, lists and deletes; deleting twice is fine", async () => {
    await nft.apply(`table inet ${table} {\n  set ports { type inet_service; }\n}\n`);
    expect(await nft.listTables()).toContainEqual({ family: "inet", name: table });
    await nft.apply(`add element inet ${table} ports { 80, 443 }`);
    expect(listed()).toContain("80");
    await nft.deleteTable("inet", table);
    await nft.deleteTable("inet", table);
    expect(await nft.listTables()).not.toContainEqual({ family: "inet", name: table });
    await nft.apply(" \n");
  });

  test("a transaction is all or nothing, and the error names reason and line", async () => {
    await nft.apply(`table inet ${table} { set ports { type inet_service; }; }`);
    // The second command is refused: by nft itself here, by the kernel below.
    const missing = `add element inet ${table} ports { 1 }\nadd element inet ${table} none { 2 }\n`;
    const error = await rejection(nft.apply(missing));
    expect(error.code).toBe("not_found");
    expect(error.message).toContain(`"add element inet ${table} none { 2 }"`);
    const taken = `add element inet ${table} ports { 1 }\ncreate element inet ${table} ports { 1 }\n`;
    expect((await rejection(nft.apply(taken))).code).toBe("already_exists");
    expect((await rejection(nft.apply("nonsense\n"))).message).toContain("syntax error");
    expect(listed()).not.toContain("elements");
    await nft.deleteTable("inet", table);
  });

  test("order is kept, and long transactions go through", async () => {
    await nft.apply(`table inet ${table} { set ports { type inet_service; }; }`);
    const many = Array.from({ length: 12_000 }, (_, index) => index + 1).join(", ");
    const all = [
      nft.apply(`add element inet ${table} ports { ${many} }\n`),
      nft.apply(`delete element inet ${table} ports { 7 }\n`),
      nft.apply(`create element inet ${table} ports { 7 }\n`),
      nft.deleteTable("inet", table),
    ];
    await Promise.all(all);
    expect(await nft.listTables()).not.toContainEqual({ family: "inet", name: table });
  });
});
