import { expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { LeanLibraries } from "#runtime/lean-libraries.ts";

const programs = ["crun", "conmon"].map((name) => Bun.which(name) ?? name);

const unheard = (reason: unknown): never => {
  throw reason;
};

const loadedBy = async (program: string, env: Record<string, string>): Promise<string> =>
  await new Response(
    Bun.spawn([program], { env: { ...env, LD_TRACE_LOADED_OBJECTS: "1" } }).stdout,
  ).text();

test("crun and conmon load without what libsystemd brings", async () => {
  const root = mkdtempSync(`${tmpdir()}/naru-lean-`);
  try {
    const libraries = new LeanLibraries(`${root}/lib`, programs, unheard);
    await libraries.prepare();
    for (const program of programs) {
      expect(await loadedBy(program, {})).toContain("libgcrypt");
      const lean = await loadedBy(program, libraries.env());
      expect(lean).toContain(`${root}/lib/libsystemd.so.0`);
      expect(lean).not.toContain("libgcrypt");
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("a program that complains keeps its libraries", async () => {
  const root = mkdtempSync(`${tmpdir()}/naru-lean-`);
  try {
    const libraries = new LeanLibraries(`${root}/lib`, [...programs, "/bin/false"], unheard);
    expect(await libraries.prepare().catch(String)).toContain("do not run without libsystemd");
    expect(libraries.env()["LD_LIBRARY_PATH"]).toBeUndefined();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("a program that is replaced by another loads all of its libraries, until there is one for it", async () => {
  const root = mkdtempSync(`${tmpdir()}/naru-lean-`);
  try {
    const [crun = "", conmon = ""] = programs;
    const own = `${root}/conmon`;
    copyFileSync(conmon, own);
    const libraries = new LeanLibraries(`${root}/lib`, [crun, own], unheard);
    await libraries.prepare();
    expect(libraries.env()["LD_LIBRARY_PATH"]).toBe(`${root}/lib`);
    copyFileSync(conmon, `${own}.next`);
    renameSync(`${own}.next`, own);
    expect(libraries.env()["LD_LIBRARY_PATH"]).toBeUndefined();
    while (libraries.env()["LD_LIBRARY_PATH"] === undefined) await Bun.sleep(5);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}, 60_000);

test("a directory that the loader would read as two gets no library", async () => {
  const root = mkdtempSync(`${tmpdir()}/naru-lean-`);
  try {
    const libraries = new LeanLibraries(`${root}/a:b/lib`, programs, unheard);
    expect(await libraries.prepare().catch(String)).toContain("is no name for ld.so");
    expect(libraries.env()["LD_LIBRARY_PATH"]).toBeUndefined();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
