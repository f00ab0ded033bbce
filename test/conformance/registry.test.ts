/**
 * The distribution spec's own conformance program, released level and the level to come, against the registry. Runs
 * where a Go toolchain is; the program is fetched and built by it, at a pinned version.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { run } from "../harness/process.ts";
import { cleanUp, serve, temporaryDirectory } from "../registry/world.ts";

afterAll(cleanUp);

const PROGRAM =
  "github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111";

const go = Bun.which("go") ?? ["/usr/local/go/bin/go"].find((path) => existsSync(path));

describe.skipIf(go === undefined)("the conformance program passes entirely", () => {
  const directory = temporaryDirectory();

  let isThere = false;

  beforeAll(async () => {
    const made = await run([go ?? "go", "install", PROGRAM], {
      env: { GOBIN: directory },
      timeoutMs: 280_000,
    });
    isThere = made.code === 0;
    // No fault of the registry's: no way to Go's modules from here, or too old a Go.
    if (!isThere) console.error(`the conformance program could not be built: ${made.stderr}`);
  }, 300_000);

  const conform = async (version: string, config: object): Promise<void> => {
    if (!isThere) return;
    const path = `${directory}/${version}.json`;
    writeFileSync(path, JSON.stringify(config));
    const served = await serve(["--config-file", path]);
    const results = `${directory}/results-${version}`;
    const { code, stdout, stderr } = await run([`${directory}/conformance`], {
      cwd: directory,
      env: {
        OCI_REGISTRY: served.host,
        OCI_TLS: "disabled",
        OCI_VERSION: version,
        OCI_RESULTS_DIR: results,
        OCI_DATA_SPARSE: "allow-sparse-manifests" in config ? "true" : "false",
      },
    });
    const report = readFileSync(`${results}/junit.xml`, "utf8");
    const [, tests = "0", failures] =
      /<testsuite\b[^>]*\btests="(\d+)"[^>]*\bfailures="(\d+)"/.exec(report) ?? [];
    expect(`${code} ${failures} ${/FAIL\.*: +(\d+)/.exec(stdout)?.[1]} ${stderr}`.trim()).toBe(
      "0 0 0",
    );
    expect(/Error\.*: +(\d+)/.exec(stdout)?.[1]).toBe("0");
    expect(/Skip\.*: +(\d+)/.exec(stdout)?.[1]).toBe("0");
    expect(Number(tests)).toBeGreaterThan(100);
    await served.end("SIGTERM");
  };

  test("1.1", () => conform("1.1", {}), 300_000);
  test("the unreleased level", () => conform("dev", { "allow-sparse-manifests": true }), 300_000);
});
