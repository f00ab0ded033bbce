/** What can only be checked when everything is together. */
import type { Service } from "#spec/compose/compose.ts";
import type { Node } from "#spec/compose/node.ts";
import { nearest, placedError } from "#spec/compose/node.ts";
import type { Selected } from "#spec/compose/select.ts";
import { nearestWord } from "#spec/compose/suggest.ts";

type Path = readonly (string | number)[];

class Checker {
  readonly #selected: Selected;
  readonly #tree: Node;

  constructor(selected: Selected, tree: Node) {
    this.#selected = selected;
    this.#tree = tree;
  }

  #fail(path: Path, message: string): never {
    throw placedError(nearest(this.#tree, path).place, `${path.join(".")}: ${message}`);
  }

  #hint(name: string, known: readonly string[]): string {
    const near = nearestWord(name, known);
    return near === undefined ? "" : `; did you mean "${near}"?`;
  }

  #declared(
    kind: "networks" | "volumes" | "secrets" | "configs" | "models",
    name: string,
    path: Path,
  ): void {
    const declared = this.#selected.model[kind] ?? {};
    if (name in declared) return;
    const noun = kind.slice(0, -1);
    const hint = this.#hint(name, Object.keys(declared));
    this.#fail(path, `the ${noun} "${name}" is not declared under "${kind}"${hint}`);
  }

  #service(name: string, path: Path, purpose: string): void {
    const { model, disabled } = this.#selected;
    if (name in model.services) return;
    if (name in disabled) {
      const profiles = (disabled[name]?.profiles ?? []).join(", ");
      this.#fail(
        path,
        `${purpose} "${name}", which is off; turn on one of its profiles (${profiles})`,
      );
    }
    const hint = this.#hint(name, Object.keys(model.services));
    this.#fail(path, `${purpose} "${name}", but there is no such service${hint}`);
  }

  check(): void {
    for (const [name, service] of Object.entries(this.#selected.model.services)) {
      this.#origin(name, service);
      this.#references(name, service);
      this.#dependencies(name, service);
      this.#scale(name, service);
      this.#limits(name, service);
      this.#targets(name, service);
      this.#watch(name, service);
    }
    this.#files();
    this.#externals();
    this.#cycles();
  }

  #origin(name: string, service: Service): void {
    const { build } = service;
    const at = ["services", name];
    if (build === undefined && service.image === undefined && service.provider === undefined) {
      this.#fail(at, 'there is neither an "image" nor a "build"');
    }
    if (build === undefined) return;
    if (build.dockerfile !== undefined && build.dockerfile_inline !== undefined) {
      this.#fail([...at, "build"], '"dockerfile" and "dockerfile_inline" exclude each other');
    }
    const { platforms = [] } = build;
    if (platforms.length > 0 && service.platform !== undefined) {
      if (!platforms.includes(service.platform)) {
        this.#fail([...at, "build", "platforms"], `"${service.platform}" is not among them`);
      }
    }
    for (const [key, context] of Object.entries(build.additional_contexts ?? {})) {
      if (!context.startsWith("service:")) continue;
      const other = context.slice("service:".length);
      const path = [...at, "build", "additional_contexts", key];
      this.#service(other, path, "takes its context from");
      if (this.#selected.model.services[other]?.build === undefined) {
        this.#fail(path, `the service "${other}" is not built`);
      }
    }
  }

  #references(name: string, service: Service): void {
    const at = ["services", name];
    if (service.network_mode !== undefined && Object.keys(service.networks ?? {}).length > 0) {
      this.#fail([...at, "network_mode"], '"network_mode" and "networks" exclude each other');
    }
    for (const key of Object.keys(service.networks ?? {})) {
      this.#declared("networks", key, [...at, "networks", key]);
    }
    for (const [index, mount] of (service.volumes ?? []).entries()) {
      if (mount.type !== "volume" || mount.source === undefined || mount.source === "") continue;
      this.#declared("volumes", mount.source, [...at, "volumes", index]);
    }
    for (const kind of ["configs", "secrets"] as const) {
      for (const [index, mount] of (service[kind] ?? []).entries()) {
        this.#declared(kind, mount.source, [...at, kind, index]);
      }
    }
    for (const [index, secret] of (service.build?.secrets ?? []).entries()) {
      this.#declared("secrets", secret.source, [...at, "build", "secrets", index]);
    }
    for (const key of Object.keys(service.models ?? {})) {
      this.#declared("models", key, [...at, "models", key]);
    }
  }

  #dependencies(name: string, service: Service): void {
    const { disabled } = this.#selected;
    for (const [other, { required }] of Object.entries(service.depends_on ?? {})) {
      if (other in disabled && !required) continue;
      this.#service(other, ["services", name, "depends_on", other], "depends on");
    }
  }

  #scale(name: string, service: Service): void {
    const replicas = service.deploy?.replicas;
    const at = ["services", name];
    if (service.scale !== undefined && replicas !== undefined && service.scale !== replicas) {
      this.#fail([...at, "scale"], '"scale" and "deploy.replicas" differ');
    }
    if (replicas !== undefined && replicas < 0) {
      this.#fail([...at, "deploy", "replicas"], "must be 0 or more");
    }
    const count = service.scale ?? replicas ?? 1;
    if (count > 1 && service.container_name !== undefined) {
      this.#fail(
        [...at, "container_name"],
        `one name cannot be given to ${String(count)} containers; leave "container_name" out`,
      );
    }
  }

  #limits(name: string, service: Service): void {
    const limits = service.deploy?.resources?.limits;
    const reservations = service.deploy?.resources?.reservations;
    const pairs = [
      ["cpus", service.cpus, limits, limits?.cpus, "limits.cpus"],
      ["mem_limit", service.mem_limit, limits, limits?.memory, "limits.memory"],
      ["pids_limit", service.pids_limit, limits, limits?.pids, "limits.pids"],
      [
        "mem_reservation",
        service.mem_reservation,
        reservations,
        reservations?.memory,
        "reservations.memory",
      ],
    ] as const;
    for (const [key, own, section, deployed, path] of pairs) {
      if (own === undefined || own === 0 || own === "0" || section === undefined) continue;
      if (own !== deployed) {
        this.#fail(["services", name, key], `"${key}" and "deploy.resources.${path}" differ`);
      }
    }
  }

  #targets(name: string, service: Service): void {
    const taken = new Map<string, string>();
    const add = (target: string, path: Path): void => {
      const known = taken.get(target);
      if (known !== undefined) {
        this.#fail(path, `"${target}" is mounted already by ${known}`);
      }
      taken.set(target, path.slice(2).join("."));
    };
    for (const [at, line] of (service.tmpfs ?? []).entries()) {
      add(line.split(":")[0] ?? line, ["services", name, "tmpfs", at]);
    }
    for (const [at, mount] of (service.volumes ?? []).entries()) {
      add(mount.target, ["services", name, "volumes", at]);
    }
  }

  #watch(name: string, service: Service): void {
    for (const [at, rule] of (service.develop?.watch ?? []).entries()) {
      const path = ["services", name, "develop", "watch", at];
      if (rule.path === "") this.#fail(path, '"path" is empty');
      const needsTarget = rule.action !== "rebuild" && rule.action !== "restart";
      if (needsTarget && (rule.target ?? "") === "") {
        this.#fail(path, `"target" is required for the action "${rule.action}"`);
      }
    }
  }

  #files(): void {
    const { secrets = {}, configs = {} } = this.#selected.model;
    for (const [kind, objects] of [
      ["secrets", secrets],
      ["configs", configs],
    ] as const) {
      for (const [name, object] of Object.entries(objects)) {
        if (object.external === true || object.driver !== undefined) continue;
        const { file, environment, content } = object;
        if (file === undefined && environment === undefined && content === undefined) {
          this.#fail([kind, name], 'one of "file", "environment" and "content" must be there');
        }
      }
    }
  }

  #externals(): void {
    for (const kind of ["networks", "volumes", "secrets", "configs"] as const) {
      for (const [name, given] of Object.entries(this.#selected.model[kind] ?? {})) {
        if (given.external !== true) continue;
        const other = Object.keys(given).find(
          (key) => key !== "name" && key !== "external" && !key.startsWith("x-"),
        );
        if (other !== undefined && kind !== "secrets" && kind !== "configs") {
          this.#fail([kind, name, other], `"external" and "${other}" exclude each other`);
        }
      }
    }
  }

  #cycles(): void {
    const { services } = this.#selected.model;
    const done = new Set<string>();
    const visit = (name: string, open: readonly string[]): void => {
      if (done.has(name)) return;
      if (open.includes(name)) {
        const circle = [...open.slice(open.indexOf(name)), name].join(" → ");
        const from = open.at(-1) ?? name;
        this.#fail(
          ["services", from, "depends_on", name],
          `services wait for each other: ${circle}`,
        );
      }
      for (const other of Object.keys(services[name]?.depends_on ?? {})) {
        if (other in services) visit(other, [...open, name]);
      }
      done.add(name);
    };
    for (const name of Object.keys(services)) visit(name, []);
  }
}

/** Throws with the file and line of the first thing that does not fit. */
export const validate = (selected: Selected, tree: Node): void => {
  new Checker(selected, tree).check();
};
