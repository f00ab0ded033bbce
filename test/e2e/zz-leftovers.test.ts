/** Last of all: stops the engine this process started and looks at what it left behind. */
import { expect, test } from "bun:test";

import { stopEngine } from "../harness/current.ts";

test("nothing is left: mounts, processes, links, tables, cgroups", async () => {
  expect(await stopEngine()).toEqual([]);
}, 60_000);
