/** RUN: its command, environment and mounts. */
import { posix } from "node:path";
import { execVertex } from "#build/op/exec.ts";
import { type StepMount, targetOf } from "#build/op/run-mounts.ts";
import { findSources } from "#build/op/sources.ts";
import type { InputDigest } from "#build/op/tree-digest.ts";
import type { Planned, StagePoint } from "#build/plan.ts";
import { runCommandOf } from "#build/run-command.ts";
import { inputDigestOf } from "#build/trees.ts";
import { NaruError } from "#lib/errors.ts";
import type { RunInstruction } from "#spec/dockerfile/dockerfile.ts";
import { parseMount } from "#spec/dockerfile/mount.ts";

/** ARGs with values that no ENV hides, sorted; and what comes from around the build. */
const runEnvironment = ({
  session,
  scope,
  state,
}: StagePoint): { declared: [string, string][]; ambient: string[] } => {
  const hidden = new Set((state.config.Env ?? []).map((entry) => entry.split("=")[0]));
  const declared = [...scope.declared]
    .flatMap(([key, value]): [string, string][] =>
      value === undefined || hidden.has(key) ? [] : [[key, value]],
    )
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const ambient = session.buildArguments
    .predefined()
    .filter(([key]) => !hidden.has(key) && !scope.declared.has(key))
    .map(([key, value]) => `${key}=${value}`);
  return { declared, ambient };
};

const mountsOf = async (
  { session, stage, scope, state, step }: StagePoint,
  instruction: RunInstruction,
): Promise<{ mounts: StepMount[]; inputs: Record<string, InputDigest> }> => {
  const mounts: StepMount[] = [];
  const inputs: Record<string, InputDigest> = {};
  const { dependencies, signal } = session;
  for (const [index, word] of instruction.mounts.entries()) {
    const mount = scope.placed(word, () => parseMount(word.text, (text) => scope.text(text)));
    const target = targetOf(mount, state.config.WorkingDir ?? "/", index);
    const reads = mount.type === "bind" || (mount.type === "cache" && mount.from !== "");
    const tree = reads ? await session.treeOf(mount.from, stage, step) : undefined;
    mounts.push({ mount, target, tree });
    if (tree === undefined || mount.type !== "bind") continue;
    const source = posix.normalize(`/${mount.source}`).slice(1);
    const found = findSources(
      dependencies.kernel,
      tree.root,
      source,
      (path) => new NaruError("not_found", `mount source "${path}" was not found in ${tree.name}`),
    );
    const nothing = (): boolean => false;
    inputs[`${tree.name} at ${target}`] = await inputDigestOf(
      dependencies,
      tree,
      found,
      [],
      nothing,
      signal,
    );
  }
  return { mounts, inputs };
};

/** RUN. */
export const planRun = async (point: StagePoint, instruction: RunInstruction): Promise<Planned> => {
  const { session, state } = point;
  const { request, dependencies } = session;
  const { config, chainId } = state;
  if (instruction.security === "insecure") {
    throw new NaruError(
      "permission_denied",
      "RUN --security=insecure is not allowed in builds of this daemon",
    );
  }
  if (instruction.devices.some((device) => device.isRequired)) {
    throw new NaruError("not_implemented", "RUN --device is not supported: leave it out");
  }
  const { args, shown } = runCommandOf(instruction, config);
  const env = runEnvironment(point);
  const { mounts, inputs } = await mountsOf(point, instruction);
  const network = instruction.network === "default" ? request.network : instruction.network;
  const named = env.declared.map(([key, value]) => `${key}=${value}`);
  const createdBy = named.length === 0 ? shown : `|${named.length} ${named.join(" ")} ${shown}`;
  const vertex = execVertex(dependencies, {
    args,
    env: [...(config.Env ?? []), ...named],
    ambientEnv: env.ambient,
    workingDir: config.WorkingDir ?? "",
    user: config.User ?? "",
    network,
    extraHosts: request.extraHosts,
    hostConfig: request.resources,
    mounts,
    mountSources: {
      cacheMounts: session.cacheMounts,
      secrets: request.secrets,
      sshSockets: request.sshSockets,
    },
    inputs,
    parent: chainId,
    description: createdBy,
  });
  return { vertex, config, createdBy, command: shown };
};
