/**
 * BuildKit's own Dockerfile frontend, compiled at a pinned version, as the program of an image: it makes definitions of
 * many kinds, and the engine solves them. Runs where a Go toolchain and buildx are.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { buildxAt, good, hasBuildx } from "../harness/buildx-client.ts";
import { BUSYBOX, loadFixtures } from "../harness/fixtures.ts";
import { type NaruDaemon, naruBinary, newRoots, spawnNaru, stopNaru } from "../harness/naru.ts";
import { must, run } from "../harness/process.ts";

const MODULE = "github.com/moby/buildkit@v0.34.2";
const PROGRAM = "github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend";
const go = Bun.which("go") ?? ["/usr/local/go/bin/go"].find((path) => existsSync(path));

const FRONTEND = "conformance/own-dockerfile:1";
const CAPABILITIES = ["inputs", "subrequests", "contexts"]
  .map((one) => `moby.buildkit.frontend.${one}`)
  .join(",");
const FRONTEND_DOCKERFILE = `FROM scratch
COPY dockerfile-frontend /frontend
ENTRYPOINT ["/frontend"]
LABEL moby.buildkit.frontend.network.none="true" moby.buildkit.frontend.caps="${CAPABILITIES}"
`;

const DOCKERFILE = `# syntax=${FRONTEND}
FROM --platform=$BUILDPLATFORM ${BUSYBOX} AS base
ARG V=1
WORKDIR /w
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/t --mount=type=secret,id=s --mount=type=bind,target=/src,rw wc -c < /run/secrets/s > len; echo $V > v; ls /src > ls; echo x > /src/y
COPY <<EOF here
hello $V
EOF
RUN <<EOF
echo one > one
EOF
FROM scratch AS other
COPY --link --chmod=640 --chown=7:8 --from=base /w/one /linked/
FROM ${BUSYBOX}
COPY --from=base /w /w
COPY --link --from=other / /other/
COPY --from=more --exclude=*.no . /more/
RUN --network=none cat /w/* > /all; stat -c '%u:%g %a' /other/linked/one >> /all; ls /more >> /all
USER 1000
`;

describe.skipIf(go === undefined || !hasBuildx)("BuildKit's frontend as a program", () => {
  const work = mkdtempSync("/tmp/naru-frontend-");
  const roots = newRoots("/tmp/naru-frontend-engine-");
  const host = `unix://${roots.socketPath}`;
  let daemon: NaruDaemon | undefined;

  beforeAll(async () => {
    const module = `${work}/module`;
    await must(["mkdir", module, `${work}/image`, `${work}/context`, `${work}/more`]);
    writeFileSync(`${module}/go.mod`, "module example.test/frontend\n\ngo 1.25\n");
    const env = { CGO_ENABLED: "0", GOFLAGS: "-mod=mod" };
    const made = await run(
      ["sh", "-c", `cd ${module} && ${go} get ${MODULE} && ${go} build -o ../image ${PROGRAM}`],
      { env, timeoutMs: 500_000 },
    );
    // No fault of the engine's: no way to Go's modules from here, or too old a Go.
    if (made.code !== 0) return console.error(`the frontend could not be built: ${made.stderr}`);
    daemon = await spawnNaru(roots);
    await loadFixtures(roots.socketPath);
    writeFileSync(`${work}/image/Dockerfile`, FRONTEND_DOCKERFILE);
    good(await buildxAt(host, ["build", "-t", FRONTEND, `${work}/image`]));
  }, 600_000);

  afterAll(async () => {
    rmSync(work, { recursive: true, force: true });
    if (daemon === undefined) return;
    await stopNaru(daemon);
    const flags = ["--data-root", roots.dataRoot, "--exec-root", roots.execRoot];
    await must([naruBinary(), "system", "reset", "--force", ...flags]);
    rmSync(roots.base, { recursive: true, force: true });
  }, 120_000);

  const build = async (dockerfile: string, ...args: string[]): Promise<string> => {
    const context = `${work}/context`;
    writeFileSync(`${context}/Dockerfile`, dockerfile);
    const options = ["--progress", "plain", "--build-context", `more=${work}/more`];
    const secret = ["--secret", `id=s,src=${work}/secret`];
    const { stdout, stderr } = await buildxAt(host, [
      "build",
      ...options,
      ...secret,
      ...args,
      context,
    ]);
    return stdout + stderr;
  };

  test("its definitions give what the Dockerfile says, and are cached", async () => {
    if (daemon === undefined) return;
    writeFileSync(`${work}/secret`, "s3cret");
    writeFileSync(`${work}/more/a`, "a");
    writeFileSync(`${work}/more/b.no`, "b");
    copyFileSync(`${work}/secret`, `${work}/context/file`);
    const out = `${work}/out`;
    await build(DOCKERFILE, "-o", out, "--build-arg", "V=2");
    const text = await Bun.file(`${out}/all`).text();
    // here, len, ls, one, v in the order of their names.
    expect(text).toBe("hello 2\n6\nDockerfile\nfile\none\n2\n7:8 640\na\n");
    expect(await build(DOCKERFILE, "-o", out, "--build-arg", "V=2")).toContain("CACHED");
  }, 120_000);

  test("it warns, lints, fails and builds for several platforms", async () => {
    if (daemon === undefined) return;
    const old = `# syntax=${FRONTEND}\nFROM scratch\nMAINTAINER me\nCOPY file /\n`;
    expect(await build(old, "--check")).toContain("MaintainerDeprecated");
    const platforms = ["--platform", "linux/amd64,linux/s390x", "-o", `${work}/split`];
    expect(await build(old, ...platforms)).toContain("MaintainerDeprecated");
    expect(existsSync(`${work}/split/linux_s390x/file`)).toBe(true);
    const failing = `# syntax=${FRONTEND}\nFROM ${BUSYBOX}\nRUN exit 7\n`;
    expect(await build(failing)).toContain("exit code: 7");
    expect(await build(`# syntax=${FRONTEND}\nFROM scratch\nRUNN x\n`)).toContain(
      "did you mean RUN",
    );
  }, 120_000);
});
