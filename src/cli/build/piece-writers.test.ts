import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { cacheWriters } from "#cli/build/caches.ts";
import type { Output } from "#cli/build/inputs.ts";
import { outputWriters } from "#cli/build/output-writers.ts";
import { checkOutputs } from "#cli/build/outputs.ts";
import type { CliContext } from "#cli/context.ts";
import { plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader } from "#lib/tar/writer.ts";

const root = mkdtempSync("/tmp/naru-pieces-");
afterAll(() => rmSync(root, { recursive: true, force: true }));

const context = { output: { isTerminal: () => Promise.resolve(true) } } as unknown as CliContext;
const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const output = (type: Output["type"], destination: string): Output => ({
  type,
  destination,
  names: [],
  attributes: {},
});

test("streams that come in turn go each to its place", async () => {
  const outputs = [output("tar", `${root}/a.tar`), output("local", `${root}/tree`)];
  await using writers = outputWriters(context, outputs);
  await writers.take(0, encode(Buffer.from("one ")));
  await writers.take(1, encode(tarHeader(plainEntry("file"))));
  await writers.take(0, encode(Buffer.from("two")));
  await writers.take(1, encode(TAR_END));
  await writers.take(0, "");
  await writers.take(1, "");
  expect(readFileSync(`${root}/a.tar`, "utf8")).toBe("one two");
  expect(readdirSync(`${root}/tree`)).toEqual(["file"]);
  expect(writers.take(2, "")).rejects.toThrow("nobody asked for");
});

test("a file that did not come whole is not left behind", async () => {
  {
    await using writers = outputWriters(context, [output("oci", `${root}/half.tar`)]);
    await writers.take(0, encode(Buffer.from("half")));
  }
  expect(readdirSync(root).filter((name) => name.startsWith("half"))).toEqual([]);
});

test("what tar complains of is told, not that it is gone", async () => {
  const dest = `${root}/cache`;
  await using writers = cacheWriters([{ type: "local", attributes: { dest } }]);
  const noise = encode(Buffer.alloc(300_000, "x"));
  for (let index = 0; index < 20; index += 1) await writers.take(0, noise);
  expect(writers.take(0, "")).rejects.toThrow(`cannot write the cache "${dest}": tar: `);
});

test("an archive for a terminal is refused before anything is built", () => {
  expect(checkOutputs(context, [output("oci", "-")])).rejects.toThrow("terminal");
  expect(checkOutputs(context, [output("oci", "a.tar"), output("image", "-")])).resolves.toBe(
    undefined,
  );
});
