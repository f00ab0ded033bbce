import { expect, test } from "bun:test";
import type { DockerBackend } from "#api/docker/backend.ts";
import { givenAttestations } from "#api/docker/buildkit/given-attestations.ts";
import type { Job } from "#api/docker/buildkit/jobs.ts";
import type { Result } from "#spec/buildkit/gateway.gen.ts";

const MIB = 1024 * 1024;

/** Directories of so many statements, each said to be of that size. Every reading is counted. */
const setUp = (count: number, sizeBytes: number, directories: number) => {
  const seen = { reads: 0 };
  const text = Buffer.from(JSON.stringify({ predicateType: "https://e.x/one", predicate: {} }));
  const files = {
    list: () => Array.from({ length: count }, (_, at) => ({ path: `${at}.json` })),
    stat: () => ({ goMode: 0o644, sizeBytes }),
    read: () => {
      seen.reads += 1;
      return [text];
    },
    [Symbol.dispose]: () => undefined,
  };
  const backend = { builds: () => Promise.resolve({ resultFiles: () => files }) };
  const job = { treeOf: () => undefined };
  const one = { ref: { id: "r" }, kind: 1, path: "/", inTotoPredicateType: "", metadata: {} };
  const given = Object.fromEntries(
    Array.from({ length: directories }, (_, at) => [`linux/${at}`, { attestation: [one] }]),
  );
  const take = () =>
    givenAttestations(
      backend as unknown as DockerBackend,
      job as unknown as Job,
      given as unknown as Result["attestations"],
    );
  return { seen, take };
};

test("attestations of several platforms are taken", async () => {
  const { take } = setUp(2, 40 * MIB, 3);
  const found = await take();
  expect([...found].map(([name, { length }]) => [name, length])).toEqual([
    ["linux/0", 2],
    ["linux/1", 2],
    ["linux/2", 2],
  ]);
});

test("more than fits into memory is refused before it is read, in all results together", async () => {
  const large = setUp(2, 40 * MIB, 10);
  expect(await large.take().catch((error: Error) => error.message)).toContain(
    "with more than 268435456 bytes together",
  );
  expect(large.seen.reads).toBe(6);
  const many = setUp(600, 10, 2);
  expect(await many.take().catch((error: Error) => error.message)).toContain("more than 1000");
  expect(many.seen.reads).toBe(1000);
});
