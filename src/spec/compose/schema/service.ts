/** The service, attribute by attribute, in the order in which it is printed. */
import {
  anyText,
  anyTexts,
  asText,
  beforeEquals,
  boolean,
  bytes,
  command,
  context,
  decimal,
  distinctTexts,
  duration,
  integer,
  matching,
  oneOfWords,
  optionalDuration,
  options,
  resolvePath,
  settings,
  settingsFromList,
  text,
  textOrTexts,
  texts,
} from "#spec/compose/forms.ts";
import type { Node } from "#spec/compose/node.ts";
import { fromPlain, list, scalar, toPlain } from "#spec/compose/node.ts";
import { devices, fileMounts, volumes } from "#spec/compose/schema/mounts.ts";
import {
  dependsOn,
  envFiles,
  extraHosts,
  gpus,
  healthcheck,
  hook,
  labelFiles,
  logging,
  resourceLimits,
  serviceModels,
  serviceNetworks,
  ulimits,
  watchRule,
} from "#spec/compose/schema/parts.ts";
import { ports } from "#spec/compose/schema/ports.ts";
import type { Reading, Shape } from "#spec/compose/shape.ts";
import { define, dict, kept, listOf, nullable, record } from "#spec/compose/shape.ts";

const uniqueTexts = texts({ key: beforeEquals });

const asContext = (node: Node): Node | undefined =>
  node.kind === "scalar" && typeof node.value === "string"
    ? fromPlain({ context: node.value }, node)
    : undefined;

/** `default`, `id=path`; a mapping is written as such lines too. */
const sshKeys: Shape = listOf(text, toPlain, {
  short: (node) =>
    node.kind === "map"
      ? list(
          node,
          [...node.entries].map(([id, path]) => {
            const given = toPlain(path);
            const line = given === null ? id : `${id}=${asText(given)}`;
            return scalar({ place: path.place }, line);
          }),
        )
      : undefined,
  shortName: "a mapping",
  spread: (node: Node, at: string, reading: Reading) => {
    const line = String(toPlain(node));
    const cut = line.indexOf("=");
    if (cut < 0 && line !== "default") {
      reading.problem(node, at, `"${line}" must be "default" or ID=PATH`);
    }
    if (cut < 0) return [node];
    const path = resolvePath(line.slice(cut + 1), reading);
    return [scalar({ place: node.place }, `${line.slice(0, cut)}=${path}`)];
  },
  key: beforeEquals,
});

/** "true", "mode=max": text even when written as a boolean. */
const attestation = anyText;

const build = record(
  {
    context,
    dockerfile: text,
    dockerfile_inline: text,
    entitlements: texts(),
    args: settings(null),
    provenance: attestation,
    sbom: attestation,
    ssh: sshKeys,
    labels: settings(""),
    cache_from: texts(),
    cache_to: texts(),
    no_cache: boolean,
    additional_contexts: dict(context, {
      short: (node) => settingsFromList(node, ""),
      shortName: 'a list of "NAME=context"',
    }),
    pull: boolean,
    extra_hosts: extraHosts,
    isolation: text,
    network: text,
    target: text,
    secrets: fileMounts("/run/secrets"),
    shm_size: bytes,
    tags: texts({ key: String }),
    ulimits,
    platforms: texts({ key: String }),
    privileged: boolean,
  },
  { short: asContext, shortName: "a folder" },
);

const throttle = listOf(record({ path: text, rate: bytes }), toPlain);

const blkio = record({
  weight: integer(0),
  weight_device: listOf(record({ path: text, weight: integer(0) }), toPlain),
  device_read_bps: throttle,
  device_read_iops: throttle,
  device_write_bps: throttle,
  device_write_iops: throttle,
});

const updateConfig = record({
  parallelism: kept(integer(0)),
  delay: optionalDuration,
  failure_action: text,
  monitor: optionalDuration,
  max_failure_ratio: decimal,
  order: oneOfWords("start-first", "stop-first"),
});

const deploy = nullable(
  record({
    mode: text,
    replicas: kept(integer()),
    labels: settings(""),
    update_config: updateConfig,
    rollback_config: updateConfig,
    resources: record({ limits: resourceLimits, reservations: resourceLimits }),
    restart_policy: kept(
      record({
        condition: text,
        delay: duration,
        max_attempts: kept(integer(0)),
        window: duration,
      }),
    ),
    placement: record({
      constraints: texts(),
      preferences: listOf(record({ spread: text }), toPlain),
      max_replicas_per_node: integer(0),
    }),
    endpoint_mode: text,
  }),
);

/** Read for `extends.ts`, gone in the result. */
const extendsShape = record(
  { file: text, service: text },
  {
    required: ["service"],
    hasExtensions: false,
    short: (node) =>
      node.kind === "scalar" && typeof node.value === "string"
        ? fromPlain({ service: node.value }, node)
        : undefined,
    shortName: "the name of a service",
  },
);

/** One word or a list of them, always a list of text. */
const providerOption: Shape = define((node) => {
  const plain = toPlain(node);
  return fromPlain((Array.isArray(plain) ? plain : [plain]).map(String), node);
});

const PULL_POLICY =
  /^(?:always|never|build|if_not_present|missing|refresh|daily|weekly|every_(?:\d+[wdhms])+)$/;

const attributes = {
  profiles: texts({ key: String }),
  annotations: settings(""),
  attach: kept(boolean),
  build: kept(build),
  develop: nullable(record({ watch: listOf(watchRule, toPlain) })),
  blkio_config: blkio,
  cap_add: uniqueTexts,
  cap_drop: uniqueTexts,
  cgroup_parent: text,
  cgroup: oneOfWords("host", "private"),
  cpu_count: integer(0),
  cpu_percent: decimal,
  cpu_period: integer(),
  cpu_quota: integer(),
  cpu_rt_period: integer(),
  cpu_rt_runtime: integer(),
  cpus: decimal,
  cpuset: text,
  cpu_shares: integer(),
  command,
  configs: fileMounts(""),
  container_name: matching(
    /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/,
    "a name of letters, digits, _ . and -, at least two of them",
  ),
  credential_spec: record({ config: text, file: text, registry: text }),
  depends_on: dependsOn,
  deploy,
  device_cgroup_rules: texts(),
  devices,
  dns: textOrTexts({ isDistinct: true, key: String }),
  dns_opt: uniqueTexts,
  dns_search: textOrTexts({ isDistinct: true, key: String }),
  domainname: text,
  entrypoint: command,
  provider: record({ type: text, options: dict(providerOption) }, { required: ["type"] }),
  environment: settings(null),
  env_file: envFiles,
  expose: anyTexts({ key: String }),
  extends: extendsShape,
  external_links: distinctTexts,
  extra_hosts: extraHosts,
  group_add: anyTexts({ isDistinct: true, key: String }),
  gpus,
  hostname: text,
  healthcheck: kept(healthcheck),
  image: text,
  init: kept(boolean),
  ipc: text,
  isolation: text,
  labels: settings(""),
  label_file: labelFiles,
  links: distinctTexts,
  logging: kept(logging),
  mem_limit: bytes,
  mem_reservation: bytes,
  memswap_limit: bytes,
  mem_swappiness: bytes,
  mac_address: text,
  models: serviceModels,
  network_mode: text,
  networks: serviceNetworks,
  oom_kill_disable: boolean,
  oom_score_adj: integer(-1000, 1000),
  pid: nullable(text),
  pids_limit: integer(),
  platform: text,
  ports,
  privileged: boolean,
  pull_policy: matching(
    PULL_POLICY,
    "always, never, missing, build, refresh, daily, weekly or every_<duration>",
  ),
  pull_refresh_after: text,
  read_only: boolean,
  restart: matching(
    /^(?:no|always|unless-stopped|on-failure(?::\d+)?)$/,
    'one of "no", "always", "unless-stopped", "on-failure" or "on-failure:COUNT"',
  ),
  runtime: text,
  scale: kept(integer(0)),
  secrets: fileMounts("/run/secrets"),
  security_opt: distinctTexts,
  shm_size: bytes,
  stdin_open: boolean,
  stop_grace_period: duration,
  stop_signal: text,
  storage_opt: options,
  sysctls: settings(""),
  tmpfs: textOrTexts({ key: beforeEquals }),
  tty: boolean,
  ulimits,
  use_api_socket: boolean,
  user: text,
  userns_mode: text,
  uts: text,
  volumes,
  volumes_from: distinctTexts,
  working_dir: text,
  pre_start: listOf(hook, toPlain),
  post_start: listOf(hook, toPlain),
  pre_stop: listOf(hook, toPlain),
};

/** Their names in the order in which they are printed. */
export const SERVICE_ATTRIBUTES: readonly string[] = Object.keys(attributes);

export const service = record(attributes);
