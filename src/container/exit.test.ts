import { expect, test } from "bun:test";
import { notBefore } from "#container/exit.ts";

const notice = (finishedAt: string) => ({ id: "one", exitCode: 0, finishedAt });

test("no container ends before it has started, however coarse the clock of its exit file is", () => {
  const startedAt = "2026-01-01T00:00:00.020500000Z";
  const later = notice("2026-01-01T00:00:00.024000000Z");
  expect(notBefore(startedAt, notice("2026-01-01T00:00:00.020000000Z")).finishedAt).toBe(startedAt);
  expect(notBefore(startedAt, later)).toEqual(later);
});
