import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hurryMark } from "#daemon/hurry-mark.ts";

const SWITCH = "/sys/kernel/rcu_expedited";

test.skipIf(!existsSync(SWITCH))(
  "what a killed daemon left of a hurry is put back, and what somebody else wants stays",
  () => {
    const root = mkdtempSync("/tmp/naru-hurry-");
    const mark = `${root}/hurries`;
    const before = readFileSync(SWITCH, "utf8").trim();
    try {
      writeFileSync(SWITCH, "1");
      const first = hurryMark(root);
      expect(readFileSync(SWITCH, "utf8").trim()).toBe("1");
      expect(existsSync(mark)).toBe(false);
      first.make();
      first.make();
      expect(existsSync(mark)).toBe(true);
      // Killed here.
      const second = hurryMark(root);
      expect(readFileSync(SWITCH, "utf8").trim()).toBe("0");
      expect(existsSync(mark)).toBe(false);
      second.make();
      second[Symbol.dispose]();
      expect(existsSync(mark)).toBe(false);
    } finally {
      writeFileSync(SWITCH, before);
      rmSync(root, { recursive: true });
    }
  },
);
