/** Row 15's last part: the engine's memory while a small and a very large context come in. */
import http from "node:http";
import { readdirSync, readFileSync } from "node:fs";

import type { Measure } from "../figures.ts";
import { IMAGE, type Subject } from "../subjects.ts";
import { writeTar } from "../../test/harness/tar.ts";
import type { RowOptions } from "./start.ts";

const FILE_BYTES = 4 * 1024 * 1024;
const SAMPLE_MS = 20;

const childrenOf = (pid: number): number[] => {
  const found = [pid];
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const text = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim();
      for (const child of text === "" ? [] : text.split(" "))
        found.push(...childrenOf(Number(child)));
    }
  } catch {
    // It ended meanwhile.
  }
  return found;
};

/** Memory of a process and its children that is no file's, in MiB. */
const anonymous = (pid: number): number => {
  let kib = 0;
  for (const one of childrenOf(pid)) {
    try {
      const text = readFileSync(`/proc/${one}/status`, "utf8");
      kib += Number(/RssAnon:\s+(\d+)/.exec(text)?.[1] ?? 0);
    } catch {
      // It ended meanwhile.
    }
  }
  return kib / 1024;
};

/** A context of `megabytes` as it is made, never whole in memory; nothing of it is copied. */
function* context(megabytes: number): Generator<Buffer> {
  const dockerfile = Buffer.from(`FROM ${IMAGE}\nCOPY Dockerfile /\n`);
  const trailer = 1024;
  yield writeTar([{ name: "Dockerfile", body: dockerfile }]).subarray(0, 1024);
  const body = Buffer.alloc(FILE_BYTES, "naru");
  for (let index = 0; index * FILE_BYTES < megabytes * 1024 * 1024; index += 1) {
    body.writeUInt32LE(index, 0);
    const whole = writeTar([{ name: `big/${index}`, body }]);
    yield whole.subarray(0, 512 + FILE_BYTES);
  }
  yield Buffer.alloc(trailer);
}

const post = (subject: Subject, megabytes: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = http.request(
      {
        socketPath: subject.socketPath,
        path: "/build?t=bench/body:1",
        method: "POST",
        headers: { "Content-Type": "application/x-tar", "Transfer-Encoding": "chunked" },
      },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () =>
          text.includes("Successfully built") ? resolve() : reject(new Error(text)),
        );
        response.on("error", reject);
      },
    );
    request.on("error", reject);
    void (async () => {
      for (const chunk of context(megabytes)) {
        if (!request.write(chunk)) await new Promise((drained) => request.once("drain", drained));
      }
      request.end();
    })().catch(reject);
  });

/** The most that the engine and its children held beyond what it had before. */
const peak = async (subject: Subject, megabytes: number): Promise<number> => {
  const before = anonymous(subject.engine.pid);
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, anonymous(subject.engine.pid));
  }, SAMPLE_MS);
  try {
    await post(subject, megabytes);
  } finally {
    clearInterval(timer);
    await subject.call("DELETE", "/images/bench/body:1?force=1");
  }
  return most - before;
};

export const measureBodies = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const naru = subjects.find(({ name }) => name === "naru");
  if (naru === undefined) return [];
  const small = await peak(naru, 100);
  const large = await peak(naru, isQuick ? 400 : 1_500);
  return [
    {
      id: "build.memory",
      title: "memory added by a context of 1.5 GB",
      unit: "MiB",
      samples: { naru: [large] },
      note: `by one of 100 MB: ${small.toFixed(0)}`,
    },
  ];
};
