import { expect, test } from "bun:test";
import { Sightings } from "#registry/sightings.ts";

const GRACE_MS = 3_600_000;
const NOW = 1_800_000_000_000;

test("a process knows what the one before it saw, and waits no longer than that one would have", () => {
  const first = new Sightings(GRACE_MS);
  first.see("a", "sha256:1");
  const text = first.save(NOW)!;
  const second = new Sightings(GRACE_MS);
  second.restore(text, NOW + 600_000);
  expect(second.isRecent("a", "sha256:1", GRACE_MS)).toBe(true);
  expect(second.isRecent("a", "sha256:1", 600_000)).toBe(false);
  expect(second.isBlind(GRACE_MS)).toBe(true);
  // Ten minutes of the hour have passed, in which nobody was told of anything.
  const third = new Sightings(GRACE_MS);
  third.restore(second.save(NOW + 600_000)!, NOW + GRACE_MS + 1000);
  expect(third.isBlind(GRACE_MS)).toBe(false);
  expect(third.isRecent("a", "sha256:1", GRACE_MS)).toBe(false);
});

test("of a clock that was set back nothing is taken, and what is no such text is an error", () => {
  const first = new Sightings(GRACE_MS);
  const second = new Sightings(GRACE_MS);
  second.restore(first.save(NOW)!, NOW - 1000);
  expect(second.isBlind(GRACE_MS)).toBe(true);
  expect(() => second.restore("garbage", NOW)).toThrow();
});

test("a grace that is longer than before waits for what was forgotten under the old one", () => {
  const old = new Sightings(GRACE_MS);
  const settled = new Sightings(GRACE_MS);
  settled.restore(old.save(NOW)!, NOW + 2 * GRACE_MS);
  expect(settled.isBlind(GRACE_MS)).toBe(false);
  const text = settled.save(NOW)!;
  const longer = new Sightings(24 * GRACE_MS);
  longer.restore(text, NOW);
  // What was told two hours ago nobody remembers; of the last hour everything is known.
  expect(longer.isBlind(24 * GRACE_MS)).toBe(true);
  const later = new Sightings(24 * GRACE_MS);
  later.restore(text, NOW + 23 * GRACE_MS + 1000);
  expect(later.isBlind(24 * GRACE_MS)).toBe(false);
});
