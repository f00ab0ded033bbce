/** Row 18 and what belongs to it: networks made and removed, many containers on one, name queries. */
import { interleave, timed, type Measure } from "../figures.ts";
import { IMAGE, inspected, type Subject } from "../subjects.ts";
import { removeAll, type RowOptions } from "./start.ts";

let count = 0;
const nextName = (): string => `bench-network-${(count += 1)}`;

const createOne = async (subject: Subject): Promise<string> => {
  const name = nextName();
  await subject.ok("POST", "/networks/create", { Name: name });
  return name;
};

const timedCreate = async (subject: Subject): Promise<number> => {
  let name = "";
  const time = await timed(async () => {
    name = await createOne(subject);
  });
  await subject.ok("DELETE", `/networks/${name}`);
  return time;
};

const timedRemove = async (subject: Subject): Promise<number> => {
  const name = await createOne(subject);
  return await timed(() => subject.ok("DELETE", `/networks/${name}`));
};

const stepsFor = (subjects: readonly Subject[], step: (subject: Subject) => Promise<number>) =>
  Object.fromEntries(subjects.map((subject) => [subject.name, () => step(subject)]));

const startNamed = async (subject: Subject, network: string, name: string): Promise<string> => {
  const body = {
    Image: IMAGE,
    Cmd: ["sleep", "3600"],
    HostConfig: { NetworkMode: network },
  };
  const answer = await subject.ok("POST", `/containers/create?name=${name}`, body);
  const { Id } = JSON.parse(answer.toString()) as { Id: string };
  await subject.ok("POST", `/containers/${Id}/start`);
  return Id;
};

/** How many of `names` the first container does not reach by name. */
const unreached = async (subject: Subject, names: readonly string[]): Promise<number> => {
  const script = names.map((name) => `ping -c1 -W3 ${name} >/dev/null || echo ${name}`).join("\n");
  const out = await subject.cli("exec", names[0] ?? "", "sh", "-c", script);
  if (out.code !== 0 && out.stdout === "") throw new Error(out.stderr);
  return out.stdout.split("\n").filter(Boolean).length;
};

interface Load {
  readonly rate: number;
  readonly p99: number;
  readonly lost: number;
}

const queryLoad = async (subject: Subject, id: string, name: string): Promise<Load> => {
  const { Pid } = (await inspected(subject, id)).State;
  const program = `${import.meta.dir}/../dns-load.ts`;
  const enter = ["nsenter", "-n", "-t", String(Pid)];
  const child = Bun.spawn([...enter, process.execPath, program, name], { stdout: "pipe" });
  return JSON.parse(await child.stdout.text()) as Load;
};

export const networksRow = async ({ subjects, isQuick }: RowOptions): Promise<Measure[]> => {
  const rounds = isQuick ? 5 : 15;
  const measures: Measure[] = [
    {
      id: "network.create",
      title: "API network create",
      unit: "ms",
      samples: await interleave(stepsFor(subjects, timedCreate), rounds),
    },
    {
      id: "network.rm",
      title: "API network remove",
      unit: "ms",
      samples: await interleave(stepsFor(subjects, timedRemove), rounds),
    },
  ];
  const naru = subjects.find(({ name }) => name === "naru");
  if (naru === undefined) return measures;
  const network = await createOne(naru);
  const names = Array.from({ length: isQuick ? 40 : 200 }, (_, index) => `named-${index}`);
  const ids: string[] = [];
  try {
    for (const name of names) ids.push(await startNamed(naru, network, name));
    const missing = await unreached(naru, names);
    const load = await queryLoad(naru, ids[0] ?? "", names.at(-1) ?? "");
    const one = (value: number) => ({ naru: [value] });
    measures.push(
      {
        id: "names.unreached",
        title: `of ${names.length} containers on one network, by name`,
        unit: "unreached",
        samples: one(missing),
      },
      { id: "names.rate", title: "name queries", unit: "/s", samples: one(load.rate) },
      { id: "names.p99", title: "the same, p99", unit: "ms", samples: one(load.p99) },
      { id: "names.lost", title: "the same, lost", unit: "queries", samples: one(load.lost) },
    );
  } finally {
    await removeAll(naru, ids);
    await naru.ok("DELETE", `/networks/${network}`);
  }
  return measures;
};
