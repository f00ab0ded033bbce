/** Decisions by table, and the property: what was applied is not planned again. */
import { expect, test } from "bun:test";
import type { Observed, ObservedContainer, Plan } from "#compose/compose.ts";
import type { UpOptions } from "#compose/decide.ts";
import { DEFAULT_UP, decideImagesUp, decideUp } from "#compose/decide.ts";
import { decideDown } from "#compose/down.ts";
import { networkHash, serviceHash } from "#compose/hash.ts";
import { LABEL } from "#compose/labels.ts";
import { containerName, imageOf } from "#compose/names.ts";
import { planLines, planSummary } from "#compose/plan.ts";
import { resolveReferences } from "#compose/references.ts";
import { loadProject } from "#spec/compose/load.ts";
import type { Model } from "#spec/compose/compose.ts";
import { loadYamlLibrary } from "#spec/compose/yaml.ts";

await loadYamlLibrary();

const modelOf = (text: string): Model =>
  loadProject({
    source: { read: () => text },
    files: ["/p/compose.yaml"],
    workingDirectory: "/p",
    fallbackName: "p",
    environment: {},
    profiles: [],
  }).model;

const EMPTY: Observed = {
  containers: [],
  networks: new Map(),
  volumes: new Map(),
  images: new Map(),
};

const optionsFor = (model: Model, changes: Partial<UpOptions> = {}): UpOptions => ({
  ...DEFAULT_UP,
  targets: Object.keys(model.services),
  ...changes,
});

let ids = 0;

/** What an engine would show after the plan: the executor's effect in miniature. */
const apply = (model: Model, observed: Observed, plan: Plan): Observed => {
  const containers = new Map(observed.containers.map((item) => [item.id, item]));
  const networks = new Map(observed.networks);
  const volumes = new Map(observed.volumes);
  const firstOf = (name: string): string | undefined =>
    [...containers.values()].find((item) => item.service === name)?.id;
  const order = (kind: string): number =>
    ["remove-network", "remove", "remove-volume", "create-network", "create-volume"].indexOf(kind);
  const sorted = plan.operations.toSorted(
    (a, b) => (order(a.kind) < 0 ? 9 : order(a.kind)) - (order(b.kind) < 0 ? 9 : order(b.kind)),
  );
  for (const operation of sorted) {
    if (operation.kind === "create-network") {
      const network = model.networks![operation.key]!;
      networks.set(network.name, {
        id: `net${String((ids += 1))}`,
        name: network.name,
        labels: {
          [LABEL.configHash]: networkHash(network),
          [LABEL.network]: operation.key,
          [LABEL.project]: model.name,
        },
      });
    } else if (operation.kind === "remove-network") networks.delete(operation.name);
    else if (operation.kind === "create-volume") {
      const { name } = model.volumes![operation.key]!;
      volumes.set(name, { name, labels: { [LABEL.project]: model.name } });
    } else if (operation.kind === "remove") containers.delete(operation.container.id);
    else if (operation.kind === "create") {
      const service = model.services[operation.service]!;
      if (operation.replaces !== undefined) containers.delete(operation.replaces.id);
      const id = `c${String((ids += 1))}`;
      const imageId = observed.images.get(imageOf(model, operation.service)) ?? "";
      containers.set(id, {
        id,
        name: containerName(model.name, operation.service, service, operation.number),
        service: operation.service,
        number: operation.number,
        isOneOff: false,
        state: operation.isRolling ? "running" : "created",
        health: operation.isRolling ? "healthy" : "none",
        exitCode: undefined,
        image: imageOf(model, operation.service),
        imageId,
        labels: {
          [LABEL.configHash]: serviceHash(resolveReferences(service, firstOf)),
          [LABEL.image]: imageId,
        },
        networkNames: Object.keys(service.networks ?? {}),
        networkIds: Object.keys(service.networks ?? {}).map(
          (key) => networks.get(model.networks![key]!.name)?.id ?? "missing",
        ),
        mounts: (service.volumes ?? []).map((mount) => ({
          Type: mount.type,
          Name: model.volumes?.[mount.source ?? ""]?.name ?? "",
          Source: "",
          Destination: mount.target,
          Mode: "",
          RW: true,
          Propagation: "",
        })),
        created: 0,
        status: "",
        command: "",
        ports: [],
      });
    }
  }
  for (const operation of plan.operations) {
    if (operation.kind !== "start") continue;
    const one = [...containers.values()].find(
      (item) => item.service === operation.service && item.number === operation.number,
    )!;
    const isJob = operation.service.startsWith("job");
    containers.set(one.id, {
      ...one,
      state: isJob ? "exited" : "running",
      exitCode: isJob ? 0 : undefined,
      health: "healthy",
    });
  }
  return { containers: [...containers.values()], networks, volumes, images: observed.images };
};

const withImages = (model: Model, observed: Observed): Observed => ({
  ...observed,
  images: new Map(Object.keys(model.services).map((name) => [imageOf(model, name), "sha256:1"])),
});

/** A small generator of its own: the same numbers in every run. */
const random = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
};

const randomFile = (next: () => number): string => {
  const count = 1 + Math.floor(next() * 6);
  const lines = ["services:"];
  for (let at = 0; at < count; at += 1) {
    const isJob = next() < 0.2;
    lines.push(`  ${isJob ? "job" : "s"}${String(at)}:`, `    image: i${String(at % 3)}`);
    if (next() < 0.5) lines.push(`    environment: {A: "${String(Math.floor(next() * 3))}"}`);
    if (next() < 0.4) lines.push(`    scale: ${String(Math.floor(next() * 4))}`);
    if (next() < 0.4) lines.push("    networks: [n]");
    if (next() < 0.3) lines.push("    volumes: ['vol:/v']");
    if (next() < 0.2) lines.push("    deploy: {update_config: {order: start-first}}");
    const earlier = lines
      .filter((line) => /^ {2}\w+:$/.test(line))
      .map((line) => line.trim().slice(0, -1))
      .slice(0, -1);
    const deps = earlier.filter(() => next() < 0.4);
    if (deps.length > 0) {
      lines.push("    depends_on:");
      for (const dep of deps) {
        const condition = dep.startsWith("job")
          ? "service_completed_successfully"
          : next() < 0.5
            ? "service_healthy"
            : "service_started";
        lines.push(`      ${dep}: {condition: ${condition}, restart: ${String(next() < 0.3)}}`);
      }
    }
  }
  lines.push("networks:", `  n: {internal: ${String(next() < 0.5)}}`, "volumes: {vol: }");
  return lines.join("\n");
};

/** A job nobody waits for is run by every `up`, as the reference tool does. */
const isSettled = (model: Model, plan: Plan): boolean =>
  plan.operations.every(
    (operation) =>
      operation.kind === "start" &&
      operation.service.startsWith("job") &&
      !Object.values(model.services).some((other) => operation.service in (other.depends_on ?? {})),
  );

test("apply, then plan again: nothing is left, for 100 projects and changes of them", () => {
  for (let seed = 1; seed <= 100; seed += 1) {
    const next = random(seed);
    const first = modelOf(randomFile(next));
    const second = modelOf(randomFile(next));
    let observed = withImages(first, EMPTY);
    for (const model of [first, second, first]) {
      observed = withImages(model, observed);
      const options = optionsFor(model, { hasOrphansRemoved: true });
      const plan = decideUp(model, observed, options);
      const known = new Set(plan.operations.map((operation) => operation.id));
      expect(known.size).toBe(plan.operations.length);
      observed = apply(model, observed, plan);
      const again = decideUp(model, observed, options);
      if (!isSettled(model, again)) {
        throw new Error(`seed ${String(seed)}:\n${planLines(again, model).join("\n")}`);
      }
    }
    const model = first;
    const down = decideDown(model, observed, {
      named: [],
      hasVolumesRemoved: true,
      hasOrphansRemoved: true,
      hasFiles: true,
      images: "none",
      off: new Set(),
      hasAllResources: false,
    });
    expect(down.operations.filter((item) => item.kind === "remove").length).toBe(
      observed.containers.length,
    );
  }
});

const running = (model: Model): Observed => {
  const seen = withImages(model, EMPTY);
  return apply(model, seen, decideUp(model, seen, optionsFor(model)));
};

const shown = (model: Model, observed: Observed, changes: Partial<UpOptions> = {}): string[] =>
  planLines(decideUp(model, observed, optionsFor(model, changes)), model);

const BASE =
  "services: {web: {image: x, depends_on: {db: {condition: service_started, restart: true}}}, db: {image: y}}";

test("a first up creates the network, then containers, and starts dependencies first", () => {
  const model = modelOf(BASE);
  const plan = decideUp(model, withImages(model, EMPTY), optionsFor(model));
  const start = plan.operations.find((operation) => operation.id === "start:web:1")!;
  expect(start.needs).toContain("await:db:service_started");
  expect(planSummary(plan)).toBe("3 to create, 2 to start");
});

test("a changed service is recreated, and who asked for it restarts", () => {
  const before = running(modelOf(BASE));
  const model = modelOf(BASE.replace("image: y", "image: y, tty: true"));
  expect(shown(model, withImages(model, before))).toEqual([
    "± container p-db-1   recreate            its configuration has changed",
    "> container p-db-1   start               it is new",
    '~ container p-web-1  restart             "db" is recreated, and it restarts with it',
    "? service db         wait until it runs  others wait for it",
  ]);
});

test("another image under the same name is a reason", () => {
  const model = modelOf(BASE);
  const observed = running(model);
  const images = new Map([...observed.images, ["y", "sha256:2"]]);
  expect(shown(model, { ...observed, images })[0]).toContain("its image is another one now");
});

test("fewer replicas: the highest numbers go; more: the gaps are filled", () => {
  const one = modelOf("services: {web: {image: x}}");
  const three = modelOf("services: {web: {image: x, scale: 3}}");
  const observed = running(three);
  expect(shown(one, observed).map((line) => line.split("  ")[0])).toEqual([
    "- container p-web-2",
    "- container p-web-3",
  ]);
  const gap = { ...observed, containers: observed.containers.filter((item) => item.number !== 2) };
  expect(shown(three, gap)[0]).toContain("+ container p-web-2");
});

test("a recreation that was cut short: one of the two stays and gets its name", () => {
  const model = modelOf("services: {web: {image: x}}");
  const observed = running(model);
  const [one] = observed.containers as [ObservedContainer];
  const twin = { ...one, id: "twin", name: "abc_p-web-1", state: "created" as const };
  expect(shown(model, { ...observed, containers: [one, twin] })).toEqual([
    '- container abc_p-web-1  remove  there shall be 1 of "web"',
  ]);
  expect(shown(model, { ...observed, containers: [twin] }).map((line) => line[0])).toEqual([
    "~",
    ">",
  ]);
});

test("a cut short recreation and then a change: the leftover goes before its name is taken", () => {
  const observed = running(modelOf("services: {web: {image: x}}"));
  const model = modelOf("services: {web: {image: x, tty: true}}");
  const [one] = observed.containers as [ObservedContainer];
  const twin = { ...one, id: "twin", name: "abc_p-web-1", state: "created" as const };
  const plan = decideUp(model, { ...observed, containers: [one, twin] }, optionsFor(model));
  const create = plan.operations.find((operation) => operation.id === "create:web:1")!;
  expect(create.needs).toContain("remove:twin");
});

test("a finished job is not run again while it is the same", () => {
  const text =
    "services: {web: {image: x, depends_on: {job: {condition: service_completed_successfully}}}, job: {image: y}}";
  const model = modelOf(text);
  expect(shown(model, running(model))).toEqual([]);
  const changed = modelOf(text.replace("image: y", "image: y, tty: true"));
  const lines = shown(changed, withImages(changed, running(model)));
  expect(lines[0]).toContain("± container p-job-1");
});

test("who shares a network namespace follows when the other is recreated", () => {
  const text = "services: {a: {image: x}, b: {image: x, network_mode: 'service:a'}}";
  const model = modelOf(text);
  const observed = running(model);
  expect(shown(model, observed)).toEqual([]);
  const changed = modelOf(text.replace("a: {image: x}", "a: {image: x, tty: true}"));
  expect(shown(changed, observed)[2]).toContain('it shares with "a", which is recreated');
});

test("external networks and volumes must be there", () => {
  const network = modelOf(
    "services: {a: {image: x}}\nnetworks: {default: {external: true, name: o}}",
  );
  expect(() => decideUp(network, EMPTY, optionsFor(network))).toThrow(
    'the network "o" is declared as external, but the engine has none of that name',
  );
  const volume = modelOf(
    "services: {a: {image: x, volumes: ['vol:/v']}}\nvolumes: {vol: {external: true}}",
  );
  expect(() => decideUp(volume, EMPTY, optionsFor(volume))).toThrow('the volume "vol"');
});

test("data is kept when a volume's declaration changes, unless it was asked for", () => {
  const model = modelOf("services: {a: {image: x, volumes: ['vol:/v']}}\nvolumes: {vol: }");
  const before = running(model);
  const labels = { [LABEL.project]: "p", [LABEL.configHash]: "another" };
  const observed = { ...before, volumes: new Map([["p_vol", { name: "p_vol", labels }]]) };
  expect(shown(model, observed)).toEqual([]);
  expect(shown(model, observed, { areVolumesRecreated: true }).map((line) => line[0])).toContain(
    "-",
  );
});

test("orphans are left unless they shall go; services that are off are none", () => {
  const both = modelOf("services: {a: {image: x}, b: {image: x}}");
  const one = modelOf("services: {a: {image: x}}");
  const observed = running(both);
  expect(shown(one, observed)).toEqual([]);
  expect(shown(one, observed, { hasOrphansRemoved: true })).toHaveLength(1);
  expect(shown(one, observed, { hasOrphansRemoved: true, disabled: ["b"] })).toEqual([]);
});

test("images: pulled when missing, built when there is a build, refused when they may not be", () => {
  const model = modelOf(
    "services: {a: {image: x}, b: {build: .}, c: {image: z, pull_policy: never}}",
  );
  const targets = (names: string[]): UpOptions => optionsFor(model, { targets: names });
  expect(decideImagesUp(model, EMPTY, targets(["a", "b"])).operations.map((o) => o.kind)).toEqual([
    "pull",
    "build",
  ]);
  expect(() => decideImagesUp(model, EMPTY, targets(["c"]))).toThrow('policy "never" forbids');
});

test("anonymous volumes go on in the next container, unless new ones are asked for", () => {
  const model = modelOf("services: { web: { image: i, volumes: [/data] } }");
  const empty = decideUp(model, EMPTY, optionsFor(model));
  const up = apply(model, EMPTY, empty);
  const mounts = [{ Type: "volume", Name: "old", Destination: "/data" }] as never;
  const observed = { ...up, containers: up.containers.map((item) => ({ ...item, mounts })) };
  const mountsAfter = (changes: Partial<UpOptions>): unknown[] =>
    decideUp(model, observed, optionsFor(model, { recreate: "always", ...changes }))
      .operations.filter((operation) => operation.kind === "create")
      .map((operation) => operation.replaces?.mounts);
  expect(mountsAfter({})).toEqual([mounts]);
  expect(mountsAfter({ hasFreshAnonymousVolumes: true })).toEqual([[]]);
});
