import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { importsOf } from "#spec/elf/imports.ts";
import { standInLibrary } from "#spec/elf/stand-in.ts";

const SYMBOLS = [
  { name: "sd_notify", version: "LIBX_209" },
  { name: "sd_bus_call", version: "LIBX_221" },
  { name: "sd_notify", version: "LIBX_209" },
];

test("what a program takes from the C library, with versions", () => {
  const imports = importsOf(readFileSync("/bin/sh"));
  const names = (imports.get("libc.so.6") ?? []).map(({ name }) => name);
  expect(names).toContain("execve");
  expect(imports.get("libc.so.6")?.every(({ version }) => version.startsWith("GLIBC_"))).toBe(true);
});

test("nothing of what is no program", () => {
  expect(importsOf(new Uint8Array()).size).toBe(0);
  expect(importsOf(new TextEncoder().encode("#!/bin/sh\n".repeat(20))).size).toBe(0);
});

test("a library takes nothing from others and has each symbol once", () => {
  const bytes = standInLibrary("libx.so.0", SYMBOLS);
  expect(importsOf(bytes).size).toBe(0);
  const text = Buffer.from(bytes).toString("latin1");
  expect(text.split("sd_notify\0").length).toBe(2);
  expect(text).toContain("LIBX_221\0");
});

test("the loader takes it without a word", async () => {
  const directory = mkdtempSync(`${tmpdir()}/naru-elf-`);
  try {
    const path = `${directory}/libx.so.0`;
    writeFileSync(path, standInLibrary("libx.so.0", SYMBOLS));
    const child = Bun.spawn(["/bin/sh", "-c", "grep -c libx.so.0 /proc/self/maps"], {
      env: { PATH: "/usr/bin:/bin", LD_PRELOAD: path },
      stdout: "pipe",
      stderr: "pipe",
    });
    expect(await new Response(child.stderr).text()).toBe("");
    expect(Number(await new Response(child.stdout).text())).toBeGreaterThan(0);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
