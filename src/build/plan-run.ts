/** RUN: its command, environment and mounts. */
import { execVertex } from "#build/op/exec.ts";
import type { StepMount } from "#build/op/run-mounts.ts";
import { findSources } from "#build/op/sources.ts";
import type { InputDigest } from "#build/op/tree-digest.ts";
import type { Planned, StagePoint } from "#build/plan.ts";
import { inputDigestOf } from "#build/trees.ts";
import { NaruError } from "#lib/errors.ts";
import { HOST_PLATFORM, type Platform } from "#spec/image/platform.ts";
import type { RunStep } from "#spec/dockerfile/plan.ts";

/** Proxies that no ENV or ARG of the Dockerfile names. */
const ambientEnv = ({ plan }: StagePoint, step: RunStep): string[] => {
  const named = new Set(step.env.map((entry) => entry.split("=")[0]));
  return [...plan.proxyEnv].flatMap(([name, value]) =>
    named.has(name) ? [] : [`${name}=${value}`],
  );
};

const mountsOf = async (
  { session, plan, step: index }: StagePoint,
  step: RunStep,
): Promise<{ mounts: StepMount[]; inputs: Record<string, InputDigest> }> => {
  const mounts: StepMount[] = [];
  const inputs: Record<string, InputDigest> = {};
  const { dependencies, signal } = session;
  for (const mount of step.mounts) {
    const from = mount.type === "bind" || mount.type === "cache" ? mount.from : undefined;
    const isEmpty = mount.type === "cache" && from?.kind === "scratch";
    const tree =
      from === undefined || isEmpty ? undefined : await session.treeOf(from, plan, index);
    mounts.push({ mount, tree });
    if (tree === undefined || mount.type !== "bind") continue;
    const found = findSources(
      dependencies.kernel,
      tree.root,
      mount.source.slice(1),
      (path) => new NaruError("not_found", `mount source "${path}" was not found in ${tree.name}`),
    );
    const nothing = (): boolean => false;
    const input = await inputDigestOf(dependencies, tree, found, [], nothing, signal);
    inputs[`${tree.name} at ${mount.target}`] = input;
  }
  return { mounts, inputs };
};

const isHost = ({ os, architecture }: Platform): boolean =>
  os === HOST_PLATFORM.os && architecture === HOST_PLATFORM.architecture;

/** RUN. */
export const planRun = async (point: StagePoint, step: RunStep): Promise<Planned> => {
  const { session, state } = point;
  const { request, dependencies } = session;
  const isInsecure = step.security === "insecure";
  if (isInsecure && request.entitlements?.includes("security.insecure") !== true) {
    throw new NaruError(
      "permission_denied",
      "RUN --security=insecure: security.insecure is not allowed: --allow security.insecure grants it",
    );
  }
  const network = step.network === "default" ? request.network : step.network;
  // Whoever asks for it for all steps has granted it.
  const isGranted = request.network === "host" || request.entitlements?.includes("network.host");
  if (network === "host" && isGranted !== true) {
    throw new NaruError(
      "permission_denied",
      "RUN --network=host: network.host is not allowed: --allow network.host grants it, or --network host for all steps",
    );
  }
  if (network === "host" && !dependencies.entitlements.has("network.host")) {
    const reason = "the host's network is granted to no build by this daemon's configuration";
    throw new NaruError("permission_denied", `RUN --network=host: ${reason}`);
  }
  if (step.devices.some((device) => device.isRequired)) {
    throw new NaruError("not_implemented", "RUN --device is not supported: leave it out");
  }
  const { mounts, inputs } = await mountsOf(point, step);
  const vertex = execVertex(dependencies, {
    args: step.args,
    env: step.env,
    ambientEnv: ambientEnv(point, step),
    workingDir: step.cwd,
    user: step.user,
    network,
    extraHosts: request.extraHosts,
    hostConfig: { ...request.resources, ...(isInsecure ? { Privileged: true } : {}) },
    script: step.script,
    mounts,
    mountSources: {
      cacheMounts: session.cacheMounts,
      secrets: request.secrets,
      sshSockets: request.sshSockets,
      cacheNamespace: request.buildArgs.get("BUILDKIT_CACHE_MOUNT_NS"),
    },
    inputs,
    // The same files may be programs of either.
    ...(isHost(state.platform) ? {} : { platform: state.platform }),
    hostname: request.buildArgs.get("BUILDKIT_SANDBOX_HOSTNAME") || undefined,
    parent: state.chainId,
    description: step.createdBy,
  });
  return { vertex };
};
