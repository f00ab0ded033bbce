/**
 * Rows 13 to 15: ten steps cold and cached, a context of 98 MB, stages at once, and what a build does to the
 * engine's memory and to its other clients. Subjects of these figures: `naru` by docker's client and the classic
 * endpoint, `naru-build` by its own client, `naru-buildx`; `classic` is Docker's classic builder by the same
 * client (20.10, the last that has no other by default), `buildkit` is Docker 28.5 with buildx.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";

import { interleave, timed, type Measure } from "../figures.ts";
import { load } from "../load.ts";
import { dockerClient, IMAGE, STARTERS, subjectOf, type Subject } from "../subjects.ts";
import { loadFixtures } from "../../test/harness/fixtures.ts";
import { naruBinary } from "../../test/harness/naru.ts";
import { run, type Output } from "../../test/harness/process.ts";
import { SID_ROOT } from "../../test/peer/docker.ts";
import { measureBodies } from "./build-body.ts";
import type { RowOptions } from "./start.ts";

const BUILDX = [SID_ROOT, "/var/tmp/naru-peers/compose"]
  .map((root) => `${root}/usr/libexec/docker/cli-plugins/docker-buildx`)
  .find((path) => existsSync(path));
const FILES = 1_000;
const FILE_BYTES = 98_000;

/** Ten instructions, four of them RUN. */
const TEN_STEPS = `FROM ${IMAGE}
ENV MODE=bench
WORKDIR /app
COPY a.txt /app/
RUN echo one > /app/one
RUN echo two > /app/two && mkdir -p /app/deep/er
COPY b.txt /app/deep/
RUN echo three > /app/three; rm /app/one
RUN cat /app/deep/b.txt > /app/four
CMD ["sh"]
`;

type Build = (folder: string, tag: string, ...args: string[]) => Promise<Output>;

interface Builder {
  readonly name: string;
  readonly build: Build;
  readonly subject: Subject;
}

interface Bench {
  readonly base: string;
  readonly builders: readonly Builder[];
  /** Removes the images of a tag everywhere, and what the row started. */
  stop(): Promise<void>;
}

const by =
  (argv: readonly string[], env: Record<string, string>): Build =>
  async (folder, tag, ...args) => {
    const out = await run([...argv, "-t", tag, ...args, folder], { env, timeoutMs: 300_000 });
    if (out.code !== 0) throw new Error(`${argv.join(" ")}: ${out.stdout}${out.stderr}`);
    return out;
  };

const withClassic = async (subjects: readonly Subject[]): Promise<Subject | undefined> => {
  if (subjects.some((subject) => subject.name === "docker20")) return undefined;
  const starter = STARTERS["docker20"];
  if (starter === undefined || !starter.isThere()) return undefined;
  const engine = await starter.start();
  await loadFixtures(engine.host.replace(/^unix:\/\//, ""));
  return subjectOf(engine);
};

const prepare = async ({ subjects }: RowOptions): Promise<Bench> => {
  const base = mkdtempSync("/tmp/naru-bench-build-");
  const own = await withClassic(subjects);
  const builders: Builder[] = [];
  const home = `${base}/home`;
  mkdirSync(`${home}/cli-plugins`, { recursive: true });
  const hasBuildx = BUILDX !== undefined;
  if (BUILDX !== undefined) copyFileSync(BUILDX, `${home}/cli-plugins/docker-buildx`);
  for (const subject of [...subjects, ...(own === undefined ? [] : [own])]) {
    const { host } = subject.engine;
    const isNaru = subject.name === "naru";
    const classic = by([dockerClient(), "-H", host, "build"], { DOCKER_BUILDKIT: "0" });
    const buildx = by([dockerClient(), "buildx", "build", "--progress", "plain"], {
      DOCKER_HOST: host,
      DOCKER_CONFIG: home,
      HOME: home,
    });
    if (isNaru || subject.name === "docker20") {
      builders.push({ name: isNaru ? "naru" : "classic", build: classic, subject });
    }
    if (hasBuildx && subject.name !== "docker20") {
      builders.push({ name: isNaru ? "naru-buildx" : "buildkit", build: buildx, subject });
    }
    if (isNaru) {
      const build = by([naruBinary(), "build"], { NARU_HOST: host });
      builders.push({ name: "naru-build", build, subject });
    }
  }
  const stop = async (): Promise<void> => {
    await own?.engine.stop();
    for (const subject of subjects) await subject.call("POST", "/build/prune?all=1");
    rmSync(base, { recursive: true, force: true });
  };
  return { base, builders, stop };
};

const tagOf = (builder: Builder): string => `bench/build-${builder.name}:1`;

const stepsOf = (
  { builders }: Bench,
  step: (builder: Builder) => Promise<number>,
): Record<string, () => Promise<number>> =>
  Object.fromEntries(builders.map((builder) => [builder.name, () => step(builder)]));

/** 13 and 14. */
const tenSteps = async (bench: Bench, isQuick: boolean): Promise<Measure[]> => {
  const folder = `${bench.base}/ten`;
  mkdirSync(folder);
  writeFileSync(`${folder}/Dockerfile`, TEN_STEPS);
  writeFileSync(`${folder}/a.txt`, "a\n");
  writeFileSync(`${folder}/b.txt`, "b\n");
  const cold = await interleave(
    stepsOf(bench, (b) => timed(() => b.build(folder, tagOf(b), "--no-cache"))),
    isQuick ? 2 : 6,
    1,
  );
  for (const builder of bench.builders) {
    const out = await run(
      [dockerClient(), "-H", builder.subject.engine.host, "run", "--rm"].concat([
        tagOf(builder),
        "sh",
        "-c",
        "cat /app/four /app/three; ls /app/one",
      ]),
    );
    if (out.stdout !== "b\nthree\n" || out.code === 0) {
      throw new Error(`${builder.name} built something else: ${out.stdout}${out.stderr}`);
    }
    await builder.build(folder, tagOf(builder));
  }
  const cached = await interleave(
    stepsOf(bench, (b) => timed(() => b.build(folder, tagOf(b)))),
    isQuick ? 4 : 15,
    1,
  );
  return [
    { id: "build.cold", title: "build of 10 steps, cold", unit: "ms", samples: cold },
    { id: "build.cached", title: "the same, all cached", unit: "ms", samples: cached },
  ];
};

const randomFile = (path: string): void => {
  const bytes = Buffer.alloc(FILE_BYTES);
  for (let at = 0; at < FILE_BYTES; at += 32_768) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(at + 32_768, FILE_BYTES)));
  }
  writeFileSync(path, bytes);
};

/** 15: each builder has a folder of its own, so that one's changes are no other's. */
const bigContext = async (bench: Bench, isQuick: boolean): Promise<Measure[]> => {
  for (const { name } of bench.builders) {
    for (let index = 0; index < FILES; index += 1) {
      const directory = `${bench.base}/big-${name}/d${index % 20}`;
      mkdirSync(directory, { recursive: true });
      randomFile(`${directory}/f${index}`);
    }
    writeFileSync(`${bench.base}/big-${name}/Dockerfile`, `FROM ${IMAGE}\nCOPY . /src\n`);
  }
  const build = (b: Builder): Promise<number> =>
    timed(() => b.build(`${bench.base}/big-${b.name}`, tagOf(b)));
  const same = await interleave(stepsOf(bench, build), isQuick ? 2 : 6, 1);
  let round = 0;
  const changed = await interleave(
    stepsOf(bench, (builder) => {
      round += 1;
      randomFile(`${bench.base}/big-${builder.name}/d7/f7`);
      return build(builder);
    }),
    isQuick ? 2 : 6,
    1,
  );
  return [
    { id: "build.same", title: "98 MB context, unchanged", unit: "ms", samples: same },
    { id: "build.changed", title: "the same, one file changed", unit: "ms", samples: changed },
  ];
};

const busy = (stage: string): string =>
  `RUN i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; echo ${stage} > /out-${stage}`;

/** Eight stages that only compute, each by itself or each upon the one before. */
const eightStages = async (bench: Bench, isQuick: boolean): Promise<Measure[]> => {
  const naru = bench.builders.find(({ name }) => name === "naru-build");
  if (naru === undefined) return [];
  const names = Array.from({ length: 8 }, (_, index) => `s${index}`);
  const copies = names.map((name) => `COPY --from=${name} /out-${name} /`).join("\n");
  const atOnce = names.map((name) => `FROM ${IMAGE} AS ${name}\n${busy(name)}`);
  const chain = names.map(
    (name, index) => `FROM ${index === 0 ? IMAGE : names[index - 1]} AS ${name}\n${busy(name)}`,
  );
  const make = (name: string, stages: readonly string[]): string => {
    const folder = `${bench.base}/${name}`;
    mkdirSync(folder);
    writeFileSync(`${folder}/Dockerfile`, `${stages.join("\n")}\nFROM scratch\n${copies}\n`);
    return folder;
  };
  const folders = { one: make("chain", chain), many: make("at-once", atOnce) };
  const samples = await interleave(
    {
      one: () => timed(() => naru.build(folders.one, tagOf(naru), "--no-cache")),
      many: () => timed(() => naru.build(folders.many, tagOf(naru), "--no-cache")),
    },
    isQuick ? 1 : 3,
    0,
  );
  const ratios = (samples["one"] ?? []).map((one, at) => one / (samples["many"]?.[at] ?? one));
  return [
    { id: "build.stages", title: "8 stages at once, gain", unit: "x", samples: { naru: ratios } },
  ];
};

/** The tail of other requests while 98 MB come in and are copied. */
const pings = async (bench: Bench, isQuick: boolean): Promise<Measure[]> => {
  const samples: Record<string, number[]> = {};
  for (const builder of bench.builders) {
    if (builder.name === "classic") continue;
    const folder = `${bench.base}/big-${builder.name}`;
    let isOver = false;
    const building = (async () => {
      while (!isOver) await builder.build(folder, tagOf(builder), "--no-cache");
    })();
    const target = `unix:${builder.subject.socketPath}`;
    const result = await load(target, 1, isQuick ? 1 : 4, "/_ping");
    isOver = true;
    await building;
    if (result.failures > 0) throw new Error(`${builder.name}: ${result.failures} failed pings`);
    samples[builder.name] = [result.p99Ms];
  }
  return [{ id: "build.ping", title: "/_ping p99 during builds", unit: "ms", samples }];
};

export const buildRow = async (options: RowOptions): Promise<Measure[]> => {
  const { isQuick } = options;
  const bench = await prepare(options);
  try {
    return [
      ...(await tenSteps(bench, isQuick)),
      ...(await bigContext(bench, isQuick)),
      ...(await eightStages(bench, isQuick)),
      ...(await pings(bench, isQuick)),
      ...(await measureBodies(options)),
    ];
  } finally {
    for (const { build: _, subject, ...builder } of bench.builders) {
      await subject.call("DELETE", `/images/bench/build-${builder.name}:1?force=1`);
    }
    await bench.stop();
  }
};
