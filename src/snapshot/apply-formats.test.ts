import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createKernel } from "#kernel/real.ts";
import { applyLayer } from "#snapshot/apply.ts";
import { file, once, tarOf, temporary } from "#snapshot/tar-fixture.fake.ts";

const kernel = createKernel();

const run = async (cwd: string, script: string): Promise<string> => {
  const child = Bun.spawn(["sh", "-ec", script], { cwd, stdout: "pipe", stderr: "pipe" });
  const [out, complaint] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(complaint);
  return out;
};

test("compressed layers, whole and as a part of a file, have the sum of the plain tar", async () => {
  using dir = temporary();
  const tar = tarOf(file("f", "content".repeat(10_000)), file("g", "more"));
  writeFileSync(`${dir.path}/plain`, tar);
  const diffId = `sha256:${new Bun.CryptoHasher("sha256").update(tar).digest("hex")}`;
  await run(dir.path, "for c in gzip xz bzip2 zstd; do ! command -v $c || $c -c plain > $c; done");
  await run(dir.path, "head -c 9000 plain | gzip > two; tail -c +9001 plain | gzip >> two");
  const names = ["plain", "gzip", "xz", "bzip2", "zstd", "two"].filter(
    (name) => existsSync(`${dir.path}/${name}`) && statSync(`${dir.path}/${name}`).size > 0,
  );
  for (const name of names) {
    const path = `${dir.path}/${name}`;
    const { size } = statSync(path);
    await run(dir.path, `{ printf padding; cat ${name}; printf trailer; } > part`);
    const part = { path: `${dir.path}/part`, offset: 7, length: size };
    for (const source of [{ path }, part, once(readFileSync(path))]) {
      const target = `${dir.path}/out`;
      const result = await applyLayer({ kernel, target, source });
      expect([name, result.diffId as string]).toEqual([name, diffId]);
      expect(readFileSync(`${target}/f`, "utf8").length).toBe(70_000);
      await run(dir.path, "rm -r out");
    }
  }
  await run(dir.path, "head -c 200 gzip > damaged");
  const damaged = applyLayer({
    kernel,
    target: `${dir.path}/out`,
    source: { path: `${dir.path}/damaged` },
  });
  expect(damaged).rejects.toThrow(/damaged|cut short/);
  await damaged.catch(() => undefined);
  const stream = applyLayer({
    kernel,
    target: `${dir.path}/out`,
    source: once(readFileSync(`${dir.path}/damaged`)),
  });
  expect(stream).rejects.toThrow(/damaged|cut short/);
  await stream.catch(() => undefined);
  expect(existsSync(`${dir.path}/out`)).toBe(false);
});

for (const format of ["gnu", "pax"]) {
  test(`what GNU tar packs as ${format} unpacks to the same tree`, async () => {
    using dir = temporary();
    await run(
      dir.path,
      `mkdir -p src/$(printf 'd%.0s' $(seq 120))/sub; cd src; printf hello > a; chmod 4711 a; ln a b; ln -s a c
       mknod null c 1 3; mkfifo p; truncate -s 3M sparse; printf x >> sparse; printf y | dd of=sparse conv=notrunc bs=1 seek=1M status=none
       cd ddd*; printf deep > sub/f; cd ..; chown 12:34 a; touch -d @1111111111.25 a; chmod 1770 ddd*
       tar -c --${format === "gnu" ? "format=gnu" : "format=pax --xattrs"} --sparse -f ../t.tar .`,
    );
    const result = await applyLayer({
      kernel,
      target: `${dir.path}/out`,
      source: { path: `${dir.path}/t.tar` },
    });
    expect(result.entries).toBeGreaterThan(8);
    const list = (root: string): Promise<string> =>
      run(
        `${dir.path}/${root}`,
        String.raw`find . -mindepth 1 -printf '%p %y %m %U %G %s %l %n\n' | sort; cksum a sparse`,
      );
    expect(await list("out")).toBe(await list("src"));
    const { mtimeMs } = statSync(`${dir.path}/out/a`);
    expect(mtimeMs).toBe(format === "pax" ? 1111111111250 : 1111111111000);
    expect(statSync(`${dir.path}/out/sparse`).blocks).toBeLessThan(100);
  });
}
