/** COPY and ADD: which files, where to, whose they are. */
import { expect } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

import { build, buildIn, built, inside, write } from "../harness/build.ts";
import { BUSYBOX, check, inspect, run } from "../harness/check.ts";
import { writeTar } from "../harness/tar.ts";

check("COPY: files, directories, patterns, and where they go", async (t) => {
  const out = await built(
    t,
    `FROM {base}
COPY a.txt /file
COPY a.txt /dir/
COPY sub /sub
COPY *.txt /all/
COPY sub/in ./rel
COPY ["with space", "/ws"]
COPY a.txt b.txt /two/
`,
    { "a.txt": "a", "b.txt": "b", "sub/in": "in", "sub/deep/er": "deeper", "with space": "ws" },
  );
  expect(
    await inside(
      out.image,
      "cat /file /dir/a.txt /sub/in /sub/deep/er /all/a.txt /all/b.txt /rel /ws /two/b.txt",
    ),
  ).toBe("aaindeeperabinwsb");
});

check("COPY: owners and modes", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nCOPY a /a\nCOPY --chown=7:8 a /b\nCOPY --chown=7 d /made/d\nUSER 9\nCOPY a /c\n`,
    a: "a",
    "d/e": "e",
  });
  await run(["chmod", "640", `${folder}/a`]);
  const out = await buildIn(t, folder);
  expect(await inside(out.image, "stat -c %u:%g:%a /a /b /c; stat -c %u:%g /made/d/e")).toBe(
    "0:0:640\n7:8:640\n0:0:640\n7:7",
  );
});

check("COPY --from keeps owners and modes", async (t) => {
  const out = await built(
    t,
    "FROM {base} AS a\nRUN mkdir /d; echo 1 > /d/f; chown 5:6 /d/f; chmod 4711 /d/f\nFROM {base}\nCOPY --from=a /d/ /d/\n",
  );
  expect(await inside(out.image, "stat -c %u:%g /d/f")).toBe("5:6");
});

check("COPY: symlinks are copied as such, one that is named is followed", async (t) => {
  const folder = write(t.folder(), {
    Dockerfile: `FROM ${BUSYBOX}\nCOPY d /d\nCOPY link /f\n`,
    "d/real": "r",
    target: "t",
  });
  symlinkSync("real", `${folder}/d/l`);
  symlinkSync("target", `${folder}/link`);
  const out = await buildIn(t, folder);
  expect(await inside(out.image, "readlink /d/l; cat /f")).toBe("real\nt");
});

check("COPY: a symlink in the image on the way is followed inside of it", async (t) => {
  const out = await built(t, "FROM {base}\nRUN mkdir /real && ln -s /real /l\nCOPY a /l/a\n", {
    a: "through",
  });
  expect(await inside(out.image, "cat /real/a; readlink /l")).toBe("through/real");
});

check("COPY: what a symlink at the destination points to is written", async (t) => {
  const text = `FROM {base}
RUN mkdir /real && echo old > /real/f && ln -s f /real/l && ln -s /real/new /file && ln -s /later /dir
COPY a /real/l
COPY a /file
COPY d /dir
WORKDIR /dir/below
COPY a b /real/
`;
  const out = await built(t, text, { a: "A", b: "B", "d/c": "C" });
  const look =
    "cd /real; for l in l /file /dir; do readlink $l; done; cat f new /dir/c; echo; ls -d /later/below; ls";
  expect(await inside(out.image, look)).toBe(
    "f\n/real/new\n/later\nAAC\n/later/below\na\nb\nf\nl\nnew",
  );
});

for (const [what, line, words] of [
  ["that is not there", "COPY nope /x", /stat \/?nope: file does not exist|nope/],
  ["of which a pattern finds none", "COPY nope* /x", /no source files were specified/],
  ["of which many go to a file", "COPY a b /x", /must be a directory and end with a \//],
] as const) {
  check(`COPY: a source ${what} is refused`, async (t) => {
    const out = await build(t, `FROM {base}\n${line}\n`, { a: "a", b: "b" });
    expect(out.code).not.toBe(0);
    expect(out.stderr).toMatch(words);
  });
}

check("COPY leads nowhere outside of the context", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nCOPY l /x\n` });
  symlinkSync("/etc/hostname", `${folder}/l`);
  const out = await buildIn(t, folder);
  expect(out.code).not.toBe(0);
  const above = await build(t, "FROM {base}\nCOPY ../../../etc/hostname /x\n");
  expect(above.code).not.toBe(0);
});

check(".dockerignore keeps files out, exceptions back in", async (t) => {
  const out = await built(t, "FROM {base}\nCOPY . /c\nRUN find /c -type f | sort > /o\n", {
    ".dockerignore": "*.log\nDockerfile\nnode_modules\n!keep.log\n",
    "a.log": "",
    "keep.log": "",
    "b.txt": "",
    "node_modules/x/y": "",
  });
  expect(await inside(out.image, "cat /o")).toBe("/c/.dockerignore\n/c/b.txt\n/c/keep.log");
});

check("ADD unpacks a gzip with more behind its end, or with its end lost", async (t) => {
  const random = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * at * 31) >> 5));
  const small = gzipSync(writeTar([{ name: "small", body: "s" }]));
  const large = gzipSync(writeTar([{ name: "large", body: random }]));
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nADD a b c d /u/\n` });
  writeFileSync(`${folder}/a`, Buffer.concat([small, Buffer.from("behind")]));
  writeFileSync(`${folder}/b`, Buffer.concat([large, Buffer.from("behind ".repeat(10_000))]));
  writeFileSync(`${folder}/c`, gzipSync(writeTar([{ name: "cut", body: "c" }])).subarray(0, -6));
  writeFileSync(`${folder}/d`, Buffer.concat([small, gzipSync("another member")]));
  const out = await buildIn(t, folder);
  expect(await inside(out.image, "cat /u/small /u/cut; ls /u; wc -c < /u/large")).toBe(
    "sccut\nlarge\nsmall\n300000",
  );
});

for (const tool of ["", "gzip", "bzip2", "xz"]) {
  check(`ADD unpacks a ${tool === "" ? "plain" : tool} tar`, async (t) => {
    const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nADD x.bin /u/\n` });
    writeFileSync(`${folder}/x.bin`, writeTar([{ name: "in/f", body: "unpacked", uid: 3 }]));
    if (tool !== "") {
      const packed = await run([tool, "-c", `${folder}/x.bin`]);
      writeFileSync(`${folder}/x.bin`, packed.bytes);
    }
    const out = await buildIn(t, folder);
    expect(out.stderr + out.stdout).toContain("Successfully built");
    expect(await inside(out.image, "cat /u/in/f; stat -c %u /u/in/f")).toBe("unpacked3");
  });
}

check("ADD copies what is no archive", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM ${BUSYBOX}\nADD x.gz /u/\n`, plain: "p" });
  const packed = await run(["gzip", "-c", `${folder}/plain`]);
  writeFileSync(`${folder}/x.gz`, packed.bytes);
  const out = await buildIn(t, folder);
  expect(await inside(out.image, "gunzip -c /u/x.gz")).toBe("p");
});

check("files that go are gone in the image", async (t) => {
  const out = await built(
    t,
    "FROM {base}\nRUN mkdir -p /d/e && touch /d/a /d/e/b\nRUN rm /d/a && rm -r /d/e && mkdir /d/e\n",
  );
  expect(await inside(out.image, "ls -A /d /d/e")).toBe("/d:\ne\n\n/d/e:");
});

check("a step that writes nothing adds no layer", async (t) => {
  const out = await built(t, `FROM {base}\nRUN echo ${t.name()}\n`);
  const layers = async (image: string): Promise<number> =>
    (await inspect<{ RootFS: { Layers: string[] } }>(image)).RootFS.Layers.length;
  expect(await layers(out.image)).toBe(await layers(BUSYBOX));
});

check("what a runtime needs to mount upon is not in the image", async (t) => {
  const out = await built(t, "FROM {base} AS a\nRUN touch /x\nFROM scratch\nCOPY --from=a / /\n");
  const saved = await run(["sh", "-c", `true`]);
  expect(saved.code).toBe(0);
  expect(await inside(out.image, "ls -d /x")).toBe("/x");
});
