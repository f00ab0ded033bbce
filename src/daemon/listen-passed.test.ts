import { expect, test } from "bun:test";
import { passedDescriptors } from "#daemon/listen-passed.ts";

test("fd:// are all passed sockets, fd://N is one", () => {
  expect(passedDescriptors("fd://", 2)).toEqual([3, 4]);
  expect(passedDescriptors("fd://*", 1)).toEqual([3]);
  expect(passedDescriptors("fd://4", 2)).toEqual([4]);
});

test("what was not passed is refused by name", () => {
  expect(() => passedDescriptors("fd://", 0)).toThrow(
    '"fd://" needs a socket from a service manager',
  );
  expect(() => passedDescriptors("fd://5", 2)).toThrow("there are 3, 4");
  expect(() => passedDescriptors("fd://stdin", 1)).toThrow('"fd://stdin" was not passed');
});
