import { afterEach, beforeEach, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

import type { ContextSource, LentSource } from "#build/build.ts";
import { receiveContext } from "#build/context.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { createBodyDecoder } from "#spec/http/body-decoder.ts";

let root: string;
let fd: number;
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/naru-context-`);
  fd = openSync("/dev/null", "r");
});
afterEach(() => {
  closeSync(fd);
  rmSync(root, { recursive: true, force: true });
});

/** What the connection gets back from a child that answers with `result`, or with an error. */
const givenBack = async (answer: object): Promise<unknown> => {
  let rest: unknown = "nothing";
  const lent: LentSource = {
    fd,
    state: createBodyDecoder(undefined).state,
    early: [],
    giveBack: (bytes) => {
      rest = typeof bytes === "string" ? bytes : Buffer.from(bytes).toString();
    },
  };
  const source: ContextSource = {
    async *[Symbol.asyncIterator]() {
      // Large enough for a child.
      for (let count = 0; count < 3; count += 1) yield new Uint8Array(1024 * 1024);
    },
    lend: () => Promise.resolve(lent),
  };
  const script = `cat > /dev/null; echo '${JSON.stringify(answer)}'`;
  const workerCommand = ["sh", "-c", script, "worker"];
  const dependencies = { workerCommand, paths: { work: root } } as unknown as BuildDependencies;
  const { signal } = new AbortController();
  await receiveContext(dependencies, source, () => undefined, signal).then(
    (context) => context[Symbol.dispose](),
    () => undefined,
  );
  return rest;
};

test("a connection that was lent to a child is HTTP again only where its body was read to the end", async () => {
  const result = { digests: [], sizeBytes: 1 };
  const behind = Buffer.from("GET /").toString("base64");
  expect(await givenBack({ result: { ...result, restBase64: behind } })).toBe("GET /");
  expect(await givenBack({ result: { ...result, restBase64: "" } })).toBe("");
  // It had all that it wanted before: the rest of the body is no request.
  expect(await givenBack({ result })).toBe("unread");
  expect(await givenBack({ error: { code: "invalid_argument", message: "no tar" } })).toBe(
    "unread",
  );
  expect(await givenBack({ error: { code: "canceled", message: "gone" } })).toBe("cut short");
});
