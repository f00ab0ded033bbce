/** From a create request and the image's config to the container's own config (pure). */
import { NaruError } from "#lib/errors.ts";
import { envKey, overrideEnv } from "#container/runtime-config/process.ts";
import type { ContainerConfig, HealthConfig } from "#spec/docker/container-config.ts";
import type { CreateRequest } from "#spec/docker/container.ts";
import { signalNumber } from "#spec/docker/signals.ts";

const MS_NS = 1_000_000;

const mergeHealth = (
  own: HealthConfig | undefined,
  image: HealthConfig | undefined,
): HealthConfig | undefined => {
  if (own === undefined) return image;
  const isInherited = own.Test === undefined || own.Test === null || own.Test.length === 0;
  if (!isInherited || image === undefined) return own;
  const merged: HealthConfig = { ...image };
  for (const [key, value] of Object.entries(own)) {
    if (key !== "Test" && value !== 0) Object.assign(merged, { [key]: value });
  }
  return merged;
};

const validateHealth = (health: HealthConfig | undefined): void => {
  if (health === undefined) return;
  for (const name of ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const) {
    const value = health[name] ?? 0;
    if (value !== 0 && value < MS_NS) {
      throw new NaruError("invalid_argument", `${name} in Healthcheck cannot be less than 1ms`);
    }
  }
  if ((health.Retries ?? 0) < 0) {
    throw new NaruError("invalid_argument", "Retries in Healthcheck cannot be negative");
  }
};

/** path.Clean for absolute paths. */
const cleanPath = (path: string): string => {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
};

/** A request's Entrypoint drops the image's Cmd as well; [""] clears it (Docker's merge rules). */
const mergeCommand = (
  request: CreateRequest,
  image: Partial<ContainerConfig>,
): Pick<ContainerConfig, "Cmd" | "Entrypoint"> => {
  const hasEntrypoint = (request.Entrypoint?.length ?? 0) > 0;
  if (hasEntrypoint) {
    const isCleared = request.Entrypoint?.length === 1 && request.Entrypoint[0] === "";
    return {
      Entrypoint: isCleared ? null : (request.Entrypoint ?? null),
      Cmd: request.Cmd ?? null,
    };
  }
  const hasCmd = (request.Cmd?.length ?? 0) > 0;
  return {
    Entrypoint: image.Entrypoint ?? null,
    Cmd: hasCmd ? (request.Cmd ?? null) : (image.Cmd ?? null),
  };
};

const validate = (config: ContainerConfig): void => {
  if (config.WorkingDir !== "" && !config.WorkingDir.startsWith("/")) {
    throw new NaruError(
      "invalid_argument",
      `the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`,
    );
  }
  for (const entry of config.Env) {
    if (entry === "" || entry.startsWith("=")) {
      throw new NaruError("invalid_argument", `invalid environment variable: ${entry}`);
    }
  }
  if (config.StopSignal !== undefined && config.StopSignal !== "") signalNumber(config.StopSignal);
  validateHealth(config.Healthcheck);
  if ((config.Entrypoint?.length ?? 0) + (config.Cmd?.length ?? 0) === 0) {
    throw new NaruError("invalid_argument", "no command specified");
  }
};

/** The container's own come first, then what the image has besides: the order inspect shows and programs get. */
const mergedEnv = (own: readonly string[], image: readonly string[]): string[] => {
  const first = overrideEnv([], own);
  const known = new Set(first.map(envKey));
  return [...first, ...overrideEnv([], image).filter((entry) => !known.has(envKey(entry)))];
};

/** `id` gives the default hostname. Throws invalid_argument in Docker's words. */
export const normalizeConfig = (
  request: CreateRequest,
  image: Partial<ContainerConfig>,
  id: string,
): ContainerConfig => {
  const { HostConfig: _host, NetworkingConfig: _networking, ...own } = request;
  const workingDir = own.WorkingDir || image.WorkingDir || "";
  const health = mergeHealth(own.Healthcheck, image.Healthcheck);
  const exposed = { ...image.ExposedPorts, ...own.ExposedPorts };
  const volumes = { ...image.Volumes, ...own.Volumes };
  const config: ContainerConfig = {
    Hostname: own.Hostname || id.slice(0, 12),
    Domainname: own.Domainname ?? "",
    User: own.User || image.User || "",
    AttachStdin: own.AttachStdin ?? false,
    AttachStdout: own.AttachStdout ?? false,
    AttachStderr: own.AttachStderr ?? false,
    Tty: own.Tty ?? false,
    OpenStdin: own.OpenStdin ?? false,
    StdinOnce: own.StdinOnce ?? false,
    Env: mergedEnv(own.Env ?? [], image.Env ?? []),
    ...mergeCommand(request, image),
    Image: own.Image ?? "",
    Volumes: Object.keys(volumes).length > 0 ? volumes : null,
    WorkingDir: workingDir.startsWith("/") ? cleanPath(workingDir) : workingDir,
    OnBuild: null,
    Labels: { ...image.Labels, ...own.Labels },
  };
  if (Object.keys(exposed).length > 0) config.ExposedPorts = exposed;
  if (health !== undefined) config.Healthcheck = health;
  if (own.NetworkDisabled === true) config.NetworkDisabled = true;
  if (own.MacAddress) config.MacAddress = own.MacAddress;
  const stopSignal = own.StopSignal || image.StopSignal;
  if (stopSignal) config.StopSignal = stopSignal;
  const stopTimeout = own.StopTimeout ?? image.StopTimeout;
  if (stopTimeout !== undefined && stopTimeout !== null) config.StopTimeout = stopTimeout;
  const shell = own.Shell ?? image.Shell;
  if (shell !== undefined && shell !== null) config.Shell = shell;
  validate(config);
  return config;
};
