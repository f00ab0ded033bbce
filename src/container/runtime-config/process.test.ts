import { expect, test } from "bun:test";
import { processOomScoreAdj } from "#container/runtime-config/process.ts";

test.each([
  // A daemon that is protected does not hand its protection down.
  [0, -500, 0],
  [0, 0, undefined],
  [200, 0, 200],
  [-300, 0, -300],
  [-500, -500, undefined],
  // Lowering is not allowed to everybody: tried only where it was asked for.
  [0, 300, undefined],
  [100, 300, 100],
])("wanted %d, inherited %d: says %p", (wanted, inherited, said) => {
  expect(processOomScoreAdj(wanted, inherited)).toBe(said);
});
