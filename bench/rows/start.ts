/** Rows 1 to 5: run, run-to-exit, parallel starts, exec, and the ends of a container. */
import { rmSync } from "node:fs";

import { interleave, percentile, timed, type Measure } from "../figures.ts";
import { makeBundle, rawExec, rawRun } from "../floor.ts";
import {
  assertSound,
  create,
  IMAGE,
  inspected,
  removed,
  started,
  type Subject,
} from "../subjects.ts";

export interface RowOptions {
  readonly subjects: readonly Subject[];
  readonly isQuick: boolean;
}

type Steps = Record<string, () => Promise<number>>;

export const stepsOf = (
  subjects: readonly Subject[],
  step: (subject: Subject) => Promise<number>,
): Steps => Object.fromEntries(subjects.map((subject) => [subject.name, () => step(subject)]));

/** 1 and 2: the client's `run --rm`, and create, wait, start to the exit by the API. */
export const runRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  for (const subject of subjects) await assertSound(subject);
  const rounds = isQuick ? 8 : 20;
  const bundle = await makeBundle();
  const cliRun = (subject: Subject): Promise<number> =>
    timed(async () => {
      const out = await subject.cli("run", "--rm", IMAGE, "echo", "hello");
      if (out.code !== 0 || out.stdout !== "hello\n")
        throw new Error(`${subject.name}: ${out.stderr}`);
    });
  const apiRun = async (subject: Subject): Promise<number> => {
    const begin = performance.now();
    const id = await create(subject, {
      Cmd: ["sh", "-c", "exit 3"],
      HostConfig: { AutoRemove: true },
    });
    const ended = subject.ok("POST", `/containers/${id}/wait?condition=removed`);
    await subject.ok("POST", `/containers/${id}/start`);
    const { StatusCode } = JSON.parse((await ended).toString()) as { StatusCode: number };
    if (StatusCode !== 3) throw new Error(`${subject.name}: exit ${StatusCode}`);
    return performance.now() - begin;
  };
  // The floor of the command line: the client alone (it asks for nothing) and one raw run.
  const first = subjects[0];
  const floorCli = async (): Promise<number> =>
    (await timed(() => first?.cli("--help") ?? Promise.resolve())) + (await rawRun(bundle));
  try {
    return [
      {
        id: "run.cli",
        title: "docker run --rm (bridge)",
        unit: "ms",
        samples: await interleave({ ...stepsOf(subjects, cliRun), floor: floorCli }, rounds),
      },
      {
        id: "run.api",
        title: "API create, start, exit, removed",
        unit: "ms",
        samples: await interleave(
          { ...stepsOf(subjects, apiRun), floor: () => rawRun(bundle) },
          rounds,
        ),
      },
    ];
  } finally {
    rmSync(bundle, { recursive: true });
  }
};

interface Burst {
  readonly perSecond: number;
  readonly latencies: readonly number[];
  readonly failures: number;
  readonly ids: readonly string[];
}

/** Starts `count` containers that stay up, by 8 workers. */
export const burst = async (subject: Subject, count: number): Promise<Burst> => {
  const latencies: number[] = [];
  const ids: string[] = [];
  let next = 0;
  let failures = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      const begin = performance.now();
      try {
        ids.push(await started(subject, { Cmd: ["sleep", "3600"] }));
        latencies.push(performance.now() - begin);
      } catch (error) {
        failures += 1;
        console.error(String(error));
      }
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: 8 }, worker));
  return {
    perSecond: (count / (performance.now() - begin)) * 1000,
    latencies,
    failures,
    ids,
  };
};

/** Removes many by 8 workers. */
export const removeAll = async (subject: Subject, ids: readonly string[]): Promise<void> => {
  const queue = [...ids];
  const worker = async (): Promise<void> => {
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) await removed(subject, id);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
};

/** 3: 100 starts by 8 workers, in turn. */
export const parallelRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const count = isQuick ? 40 : 100;
  const rates: Record<string, number[]> = {};
  const tails: Record<string, number[]> = {};
  const failures: Record<string, number[]> = {};
  for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
    for (const subject of subjects) {
      const result = await burst(subject, count);
      await removeAll(subject, result.ids);
      (rates[subject.name] ??= []).push(result.perSecond);
      (tails[subject.name] ??= []).push(percentile(result.latencies, 0.99));
      (failures[subject.name] ??= []).push(result.failures);
    }
  }
  return [
    { id: "parallel.rate", title: `${count} starts by 8 workers`, unit: "/s", samples: rates },
    { id: "parallel.p99", title: "the same, p99 of one start", unit: "ms", samples: tails },
    { id: "parallel.failures", title: "the same, failed", unit: "", samples: failures },
  ];
};

/** 4: exec by API and by the client. */
export const execRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const rounds = isQuick ? 8 : 30;
  const ids = new Map<string, string>();
  for (const subject of subjects) {
    ids.set(subject.name, await started(subject, { Cmd: ["sleep", "3600"] }));
  }
  const bundle = await makeBundle(["/bin/sleep", "3600"]);
  const raw = await rawExec(bundle);
  const apiExec = async (subject: Subject): Promise<number> => {
    const begin = performance.now();
    const body = { Cmd: ["sh", "-c", "echo hello; exit 4"], AttachStdout: true };
    const made = await subject.ok("POST", `/containers/${ids.get(subject.name)}/exec`, body);
    const { Id } = JSON.parse(made.toString()) as { Id: string };
    const output = await subject.ok("POST", `/exec/${Id}/start`, { Detach: false, Tty: false });
    const took = performance.now() - begin;
    const state = JSON.parse((await subject.ok("GET", `/exec/${Id}/json`)).toString()) as {
      ExitCode: number;
    };
    if (!output.includes("hello") || state.ExitCode !== 4) {
      throw new Error(`${subject.name}: exec gave ${output.toString()} and ${state.ExitCode}`);
    }
    return took;
  };
  const cliExec = (subject: Subject): Promise<number> =>
    timed(async () => {
      const out = await subject.cli("exec", ids.get(subject.name) ?? "", "sh", "-c", "echo hello");
      if (out.code !== 0 || out.stdout !== "hello\n")
        throw new Error(`${subject.name}: ${out.stderr}`);
    });
  try {
    return [
      {
        id: "exec.api",
        title: "API exec to its end",
        unit: "ms",
        samples: await interleave(
          { ...stepsOf(subjects, apiExec), floor: () => raw.exec() },
          rounds,
        ),
      },
      {
        id: "exec.cli",
        title: "docker exec",
        unit: "ms",
        samples: await interleave(stepsOf(subjects, cliExec), rounds),
      },
    ];
  } finally {
    await raw.stop();
    rmSync(bundle, { recursive: true });
    for (const subject of subjects) await removed(subject, ids.get(subject.name) ?? "");
  }
};

const TERM_HANDLER = ["sh", "-c", "trap 'exit 5' TERM; sleep 3600 & wait"];

/** 5: stop (handled), kill, rm -f; the next inspect must already say so. */
export const endRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const rounds = isQuick ? 6 : 20;
  const ending =
    (path: string, code: number) =>
    async (subject: Subject): Promise<number> => {
      const id = await started(subject, { Cmd: TERM_HANDLER });
      await Bun.sleep(60);
      const took = await timed(() => subject.ok("POST", `/containers/${id}/${path}`));
      if (path === "kill") await subject.ok("POST", `/containers/${id}/wait`);
      const { State } = await inspected(subject, id);
      if (State.Status !== "exited" || State.ExitCode !== code) {
        throw new Error(`${subject.name}: ${path} left ${State.Status} ${State.ExitCode}`);
      }
      await removed(subject, id);
      return took;
    };
  const rm = async (subject: Subject): Promise<number> => {
    const id = await started(subject, { Cmd: TERM_HANDLER });
    const took = await timed(() => removed(subject, id));
    const { status } = await subject.call("GET", `/containers/${id}/json`);
    if (status !== 404) throw new Error(`${subject.name}: removed but ${status}`);
    return took;
  };
  const row = async (
    id: string,
    title: string,
    step: (subject: Subject) => Promise<number>,
  ): Promise<Measure> => ({
    id,
    title,
    unit: "ms",
    samples: await interleave(stepsOf(subjects, step), rounds),
  });
  return [
    await row("end.stop", "API stop, TERM handled", ending("stop", 5)),
    await row("end.kill", "API kill", ending("kill", 137)),
    await row("end.rm", "API rm -f of a running one", rm),
  ];
};
