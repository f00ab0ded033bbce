/** Contexts and files of elsewhere, from a server of this test's own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { BuildDependencies } from "#build/dependencies.ts";
import { fetchContext, fetchUrl } from "#build/fetch.ts";
import { fileKernel } from "#kernel/file.ts";

const root = mkdtempSync(`${tmpdir()}/naru-fetch-`);
const signal = AbortSignal.timeout(60_000);
const dependencies = {
  kernel: fileKernel,
  paths: { work: `${root}/work` },
  proxy: { http: "", https: "", none: "" },
} as unknown as BuildDependencies;

const git = (...args: string[]): void => {
  const who = ["-c", "user.name=n", "-c", "user.email=e@localhost"];
  const done = Bun.spawnSync(["git", ...who, "-C", `${root}/made`, ...args]);
  if (!done.success) throw new Error(done.stderr.toString());
};

const answers: Readonly<Record<string, () => Response>> = {
  "/": () => new Response("root"),
  "/named": () =>
    new Response("x", { headers: { "content-disposition": 'attachment; filename="else"' } }),
  "/in/": () => new Response("x", { headers: { "content-disposition": "inline; filename=told" } }),
  "/a%zz": () => new Response("x"),
};

/** Repositories as files: git's older protocol. */
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: async ({ url }) => {
    const { pathname } = new URL(url);
    const answer = answers[pathname];
    if (answer !== undefined) return answer();
    const file = Bun.file(`${root}${pathname}`);
    return (await file.exists()) ? new Response(file) : new Response("", { status: 404 });
  },
});
const url = `http://127.0.0.1:${server.port}`;

beforeAll(() => {
  mkdirSync(`${root}/work`);
  mkdirSync(`${root}/private`);
  writeFileSync(`${root}/private/key`, "secret");
  mkdirSync(`${root}/made/sub`, { recursive: true });
  writeFileSync(`${root}/made/sub/file`, "of the repository");
  symlinkSync("sub", `${root}/made/inside`);
  symlinkSync(`${root}/private`, `${root}/made/outside`);
  symlinkSync("../".repeat(20) + `${root.slice(1)}/private`, `${root}/made/above`);
  git("init", "-q", "-b", "main");
  git("add", "-A");
  git("commit", "-q", "-m", "files");
  git("clone", "-q", "--bare", ".", `${root}/app.git`);
  git("-C", `${root}/app.git`, "update-server-info");
});
afterAll(async () => {
  await server.stop(true);
  rmSync(root, { recursive: true, force: true });
});

test("a directory of a repository is the context, also by a link that stays in it", async () => {
  for (const directory of ["sub", "inside", "/sub/", "inside/../sub"]) {
    using context = await fetchContext(dependencies, `${url}/app.git#main:${directory}`, signal);
    expect(readFileSync(`${context.root}/file`, "utf8")).toBe("of the repository");
  }
});

test("a link out of the repository is no directory of it, and nothing of the fetch stays", async () => {
  for (const directory of ["outside", "above", "sub/file", "none", "outside/../private"]) {
    const fetching = fetchContext(dependencies, `${url}/app.git#main:${directory}`, signal);
    expect(await fetching.then(String, String)).toContain("has no directory");
  }
  expect(readdirSync(`${root}/work`)).toEqual([]);
});

test("a file has the name of its address, else its server's, else BuildKit's", async () => {
  let count = 0;
  const temporaryTree = (name: string) => ({ root: `${root}/${name}-${(count += 1)}` });
  const nameOf = async (path: string): Promise<readonly string[]> =>
    (await fetchUrl({ temporaryTree, signal, dependencies }, `${url}${path}`, undefined)).sources;
  expect(await nameOf("/named")).toEqual(["named"]);
  expect(await nameOf("/in/")).toEqual(["in"]);
  expect(await nameOf("/a%zz")).toEqual(["a%zz"]);
  expect(await nameOf("/")).toEqual(["__unnamed__"]);
});

test("what cannot be fetched is told by its address, without hints for programmers", async () => {
  const temporaryTree = (name: string) => ({ root: `${root}/${name}` });
  const place = { temporaryTree, signal, dependencies };
  const said = await fetchUrl(place, "http://127.0.0.1:1/x", undefined).then(String, String);
  expect(said).toContain('cannot fetch "http://127.0.0.1:1/x"');
  expect(said).not.toMatch(/verbose|Is the computer/);
});

test("files and repositories come by the engine's proxy, what is near directly", async () => {
  const asked: string[] = [];
  using proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      asked.push(request.url);
      return await fetch(`${url}${new URL(request.url).pathname}`);
    },
  });
  const behind = {
    ...dependencies,
    proxy: { http: `http://127.0.0.1:${proxy.port}`, https: "", none: "" },
  };
  let count = 0;
  const temporaryTree = (name: string) => ({ root: `${root}/by-proxy-${name}-${(count += 1)}` });
  const place = { temporaryTree, signal, dependencies: behind };
  expect((await fetchUrl(place, "http://files.test/in/", undefined)).sources).toEqual(["in"]);
  expect(asked.splice(0)).toEqual(["http://files.test/in/"]);
  {
    using context = await fetchContext(behind, "http://files.test/app.git#main:sub", signal);
    expect(readFileSync(`${context.root}/file`, "utf8")).toBe("of the repository");
  }
  expect(asked.splice(0).every((one) => one.startsWith("http://files.test/app.git/"))).toBe(true);
  using _near = await fetchContext(behind, `${url}/app.git#main:sub`, signal);
  await fetchUrl(place, `${url}/in/`, undefined);
  expect(asked).toEqual([]);
});
