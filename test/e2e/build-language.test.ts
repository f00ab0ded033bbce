/** What the Dockerfile language means where the builders differ: BuildKit's sense of it. */
import { expect } from "bun:test";

import { configOf, inside, write } from "../harness/build.ts";
import { buildx, buildxCheck, good, imageName } from "../harness/buildx.ts";
import { BUSYBOX, type Check, dockerOk, skipOn } from "../harness/check.ts";

const LINKED = {
  skip: skipOn("docker20 docker28", "its graph driver cannot merge layers: it copies as ever"),
};

const build = async (
  t: Check,
  dockerfile: string,
  files: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Promise<{ said: string; image: string }> => {
  const image = imageName(t);
  const folder = write(t.folder(), {
    Dockerfile: dockerfile.replaceAll("{base}", BUSYBOX),
    ...files,
  });
  const said = good(await buildx("build", "--progress", "plain", "-t", image, ...args, folder));
  return { said, image };
};

buildxCheck(
  "an ARG below an ENV of its name is what RUN sees; the image keeps the ENV",
  async (t) => {
    const { image } = await build(t, "FROM {base}\nENV A=env\nARG A=arg\nRUN echo $A > /o\n");
    expect(await inside(image, "cat /o; echo $A")).toBe("arg\nenv");
  },
);

buildxCheck(
  "COPY --link is taken from the cache when what is below it changed",
  async (t) => {
    const mark = t.name();
    const text = (n: number): string =>
      `FROM {base}\nRUN mkdir /d && echo ${mark}${n} > /d/below\nCOPY --link a /d/\nRUN cat /d/*\n`;
    const files = { a: `${mark} linked` };
    await build(t, text(1), files);
    const { said, image } = await build(t, text(2), files);
    expect(said).toMatch(/\[3\/4\] COPY --link a \/d\/\n#\d+ CACHED/);
    expect(said).not.toMatch(/\[2\/4\] [^\n]*\n#\d+ CACHED/);
    expect(await inside(image, "cat /d/below /d/a")).toBe(`${mark}2\n${mark} linked`);
    const folder = t.folder();
    await dockerOk("save", "-o", `${folder}/x.tar`, image);
  },
  LINKED,
);

buildxCheck(
  "COPY --link does not follow what is below it",
  async (t) => {
    const { image } = await build(
      t,
      "FROM {base}\nRUN mkdir /real && ln -s /real /way\nCOPY --link a /way/a\n",
      { a: "x" },
    );
    expect(await inside(image, "test -L /way || echo a directory; ls /real | wc -l")).toBe(
      "a directory\n0",
    );
  },
  LINKED,
);

buildxCheck("a directory as a named context can be what a stage starts from", async (t) => {
  const tree = write(t.folder(), { "bin/said": "hello" });
  const { image } = await build(
    t,
    "FROM tree AS files\nFROM {base}\nCOPY --from=files /bin/said /said\n",
    {},
    ["--build-context", `tree=${tree}`],
  );
  expect(await inside(image, "cat /said")).toBe("hello");
});

buildxCheck("a named context stands in the place of the stage of its name", async (t) => {
  const tree = write(t.folder(), { said: "hello" });
  const { image } = await build(
    t,
    "FROM {base} AS files\nRUN false\nFROM {base}\nCOPY --from=files / /files/\n",
    {},
    ["--build-context", `files=${tree}`],
  );
  expect(await inside(image, "ls /files; cat /files/said")).toBe("said\nhello");
});

buildxCheck("a here-document with its own interpreter is run by it", async (t) => {
  const { said } = await build(t, `FROM {base}\nRUN <<EOF\n#!/bin/cat\n${t.name()} $A "b\nEOF\n`);
  expect(said).toMatch(/ #!\/bin\/cat\n#\d+ [\d.]+ \S+ \$A "b\n/);
});

buildxCheck("history and labels are as BuildKit writes them", async (t) => {
  const { image } = await build(t, "FROM {base}\nENV A=1\nRUN echo x > /x\nEXPOSE 80\n", {}, [
    "--label",
    "l=m",
  ]);
  const lines = await dockerOk(
    "history",
    "--no-trunc",
    "--format",
    "{{.CreatedBy}}|{{.Comment}}",
    image,
  );
  expect(lines.split("\n").slice(0, 3)).toEqual([
    "EXPOSE [80/tcp]|buildkit.dockerfile.v0",
    "RUN /bin/sh -c echo x > /x # buildkit|buildkit.dockerfile.v0",
    "ENV A=1|buildkit.dockerfile.v0",
  ]);
  expect((await configOf(image))["Labels"]).toEqual({ l: "m" } as never);
});

buildxCheck("a directory that WORKDIR makes belongs to USER", async (t) => {
  const { image } = await build(t, "FROM {base}\nUSER 12:34\nWORKDIR /made/here\n");
  expect(await inside(image, "stat -c %u:%g /made/here")).toBe("12:34");
});

buildxCheck(
  "--no-cache-filter runs the steps of one stage again, and those that read what changed",
  async (t) => {
    const mark = t.name();
    const text = `FROM {base} AS one
RUN echo ${mark} > /kept && head -c 16 /dev/urandom > /one
FROM {base} AS two
RUN echo ${mark} two > /two
FROM {base}
COPY --from=one /one /
COPY --from=two /two /
`;
    const first = await build(t, text);
    const { said, image } = await build(t, text, {}, ["--no-cache-filter", "one"]);
    expect(said).toMatch(/\[two 2\/2\] RUN [^\n]*\n#\d+ CACHED/);
    expect(said).not.toMatch(/\[one 2\/2\] RUN [^\n]*\n#\d+ CACHED/);
    const sum = (name: string): Promise<string> => inside(name, "sha256sum /one");
    expect(await sum(image)).not.toBe(await sum(first.image));
  },
);

buildxCheck("a pattern that finds nothing copies nothing", async (t) => {
  const { image } = await build(t, "FROM {base}\nCOPY nothing* /d/\nCOPY a nothing* /e/\n", {
    a: "x",
  });
  expect(await inside(image, "ls /e")).toBe("a");
});

buildxCheck("several files go into a directory that is there, without a slash", async (t) => {
  const text = "FROM {base}\nWORKDIR /app\nCOPY a b /app\nCOPY d a /new\n";
  const { image } = await build(t, text, { a: "A", b: "B", "d/c": "C" });
  expect(await inside(image, "cd /; ls app new")).toBe("app:\na\nb\n\nnew:\na\nc");
});

buildxCheck("an owner that the image does not know is root, a group the user's own", async (t) => {
  const text = `FROM {base} AS made
COPY --chown=user:nobody-here a /g
COPY --chown=nobody-here a /u
FROM scratch AS alone
COPY --chown=root:root a /a
FROM made
COPY --from=alone /a /a
`;
  const { image } = await build(t, text, { a: "A" });
  expect(await inside(image, "stat -c %u:%g /g /u /a")).toBe("1000:1000\n0:0\n0:0");
});

buildxCheck("FROM scratch alone is an image without files", async (t) => {
  const { image } = await build(t, "FROM scratch\n", {}, ["--label", "l=m"]);
  const config = await configOf(image);
  expect(config["Labels"]).toEqual({ l: "m" } as never);
  expect(await dockerOk("image", "inspect", "-f", "{{len .RootFS.Layers}}", image)).toMatch(/^0/);
});

buildxCheck("--exclude takes a pattern in any spelling", async (t) => {
  const text = "FROM {base}\nCOPY --exclude=./s d /a\nCOPY --exclude=s/ d /b\n";
  const { image } = await build(t, text, { "d/s/x": "", "d/k": "" });
  expect(await inside(image, "ls /a /b")).toBe("/a:\nk\n\n/b:\nk");
});

buildxCheck("a bind mount of a context can be read by whoever RUN runs as", async (t) => {
  const other = write(t.folder(), { there: "" });
  const text = `FROM {base}
USER user
RUN --mount=target=/src cat /src/a /src/d/b > /tmp/o
RUN --mount=target=/src,from=other ls /src > /tmp/p
`;
  const files = { a: "A", "d/b": "B" };
  const { image } = await build(t, text, files, ["--build-context", `other=${other}`]);
  expect(await inside(image, "cat /tmp/o; echo; cat /tmp/p")).toBe("AB\nthere");
});

buildxCheck("what a mount lies in is mounted before it, whatever comes first", async (t) => {
  const text = `FROM {base}
ARG mode=711
RUN --mount=type=cache,id=${t.name()},target=/a/b,mode=$mode --mount=type=tmpfs,target=/a ls /a > /o; stat -c %a /a/b >> /o
`;
  const { image } = await build(t, text);
  expect(await inside(image, "cat /o")).toBe("b\n711");
});

buildxCheck("a cache of another owner or beginning is another cache", async (t) => {
  const cache = `RUN --mount=type=cache,id=${t.name()},target=/c`;
  const text = `FROM {base} AS seed
RUN mkdir /s && touch /s/f && chown 3:4 /s
FROM {base}
${cache} touch /c/roots
USER user
${cache},uid=1000 touch /c/mine; ls /c > /tmp/o
${cache},from=seed,source=/s stat -c %u:%g /c >> /tmp/o; ls /c >> /tmp/o
USER root
${cache} ls /c > /p
`;
  const { image } = await build(t, text);
  expect(await inside(image, "cat /tmp/o /p")).toBe("mine\n3:4\nf\nroots");
  const argument = ["--build-arg", "BUILDKIT_CACHE_MOUNT_NS=other"];
  const spaced = await build(
    t,
    `FROM {base}\n${cache} ls /c > /o; echo none >> /o\n`,
    {},
    argument,
  );
  expect(await inside(spaced.image, "cat /o")).toBe("none");
});

buildxCheck("the sandbox has the hostname and the gateway that were asked for", async (t) => {
  const text = "FROM {base}\nRUN hostname > /o; grep -c 'gate$' /etc/hosts >> /o\n";
  const args = ["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=own", "--add-host", "gate:host-gateway"];
  const { image } = await build(t, text, {}, args);
  expect(await inside(image, "cat /o")).toBe("own\n1");
});

buildxCheck("a directory as a named context has a .dockerignore of its own", async (t) => {
  const tree = write(t.folder(), { ".dockerignore": "out\n", in: "", out: "" });
  const { image } = await build(t, "FROM {base}\nCOPY --from=tree . /c\n", {}, [
    "--build-context",
    `tree=${tree}`,
  ]);
  expect(await inside(image, "ls /c")).toBe("in");
});
