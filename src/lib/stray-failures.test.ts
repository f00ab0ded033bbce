import { expect, test } from "bun:test";

test("errors that nobody caught are told with their place, and the process goes on", async () => {
  const script = `
    import { createLogger } from "#lib/log.ts";
    import { tellStrayFailures } from "#lib/stray-failures.ts";
    tellStrayFailures(createLogger((level, message, fields) => console.log(level, message, fields.error)));
    setTimeout(() => { throw new Error("in an event"); }, 1);
    setTimeout(() => void Promise.reject(new Error("in a promise")), 2);
    setTimeout(() => console.log("goes on"), 20);
  `;
  const child = Bun.spawn([process.execPath, "-e", script], {
    cwd: import.meta.dir,
    stdout: "pipe",
    stderr: "pipe",
  });
  const text = await child.stdout.text();
  expect(await child.exited).toBe(0);
  expect(text).toMatch(/error an error nobody caught Error: in an event\n\s+at /);
  expect(text).toMatch(/error a promise nobody awaited failed Error: in a promise\n\s+at /);
  expect(text).toContain("goes on\n");
});
