import type { InfoResponse } from "#client/system-types.ts";
import { bytesSize } from "#cli/format/units.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { errorText } from "#cli/report.ts";
import { evaluate } from "#cli/template/evaluate.ts";
import { parseTemplate } from "#cli/template/parser.ts";
import { VERSION } from "#lib/version.ts";

type Pair = readonly [depth: number, label: string, value: string];

const listed = (
  depth: number,
  label: string,
  values: readonly string[] | null | undefined,
): Pair[] =>
  (values ?? []).length === 0
    ? []
    : [[depth, label, ""], ...(values ?? []).map((value): Pair => [depth + 1, value, "\0"])];

const pluginPairs = (info: InfoResponse): Pair[] =>
  (["Volume", "Network", "Log"] as const).flatMap((kind): Pair[] => {
    const names = info.Plugins?.[kind] ?? [];
    return names.length === 0 ? [] : [[2, kind, names.join(" ")]];
  });

const securityPairs = (options: readonly string[] | null | undefined): Pair[] =>
  (options ?? []).flatMap((option): Pair[] => {
    const fields = new Map(
      option.split(",").map((field) => field.split("=", 2) as [string, string]),
    );
    const name = fields.get("name") ?? option;
    const rest = [...fields].filter(([key]) => key !== "name");
    return [
      [2, name, "\0"],
      ...rest.map(([key, value]): Pair => [3, key[0]?.toUpperCase() + key.slice(1), value]),
    ];
  });

const runtimePairs = (info: InfoResponse): Pair[] => [
  [1, "Swarm", info.Swarm?.LocalNodeState ?? "inactive"],
  [
    1,
    "Runtimes",
    Object.keys(info.Runtimes ?? {})
      .toSorted()
      .join(" "),
  ],
  [1, "Default Runtime", info.DefaultRuntime ?? ""],
  [1, "Init Binary", info.InitBinary ?? ""],
];

const hostPairs = (info: InfoResponse): Pair[] => [
  [1, "Kernel Version", info.KernelVersion],
  [1, "Operating System", info.OperatingSystem],
  [1, "OSType", info.OSType],
  [1, "Architecture", info.Architecture],
  [1, "CPUs", String(info.NCPU)],
  [1, "Total Memory", bytesSize(info.MemTotal)],
  [1, "Name", info.Name],
  [1, "ID", info.ID],
  [1, "Docker Root Dir", info.DockerRootDir],
  [1, "Debug Mode", String(info.Debug ?? false)],
];

const serverPairs = (info: InfoResponse): Pair[] => {
  const insecure = [
    ...Object.entries(info.RegistryConfig?.IndexConfigs ?? {})
      .filter(([, index]) => index?.Secure === false)
      .map(([name]) => name),
    ...(info.RegistryConfig?.InsecureRegistryCIDRs ?? []),
  ];
  return [
    [1, "Containers", String(info.Containers)],
    [2, "Running", String(info.ContainersRunning)],
    [2, "Paused", String(info.ContainersPaused)],
    [2, "Stopped", String(info.ContainersStopped)],
    [1, "Images", String(info.Images)],
    [1, "Server Version", info.ServerVersion],
    [1, "Storage Driver", info.Driver],
    ...(info.DriverStatus ?? []).map(([label, value]): Pair => [2, label, value]),
    [1, "Logging Driver", info.LoggingDriver],
    [1, "Cgroup Driver", info.CgroupDriver],
    ...(info.CgroupVersion === undefined
      ? []
      : [[1, "Cgroup Version", info.CgroupVersion] as Pair]),
    [1, "Plugins", ""],
    ...pluginPairs(info),
    ...runtimePairs(info),
    ...((info.SecurityOptions ?? []).length > 0 ? [[1, "Security Options", ""] as Pair] : []),
    ...securityPairs(info.SecurityOptions),
    ...hostPairs(info),
    ...(info.HttpProxy ? [[1, "HTTP Proxy", info.HttpProxy] as Pair] : []),
    ...(info.HttpsProxy ? [[1, "HTTPS Proxy", info.HttpsProxy] as Pair] : []),
    ...(info.NoProxy ? [[1, "No Proxy", info.NoProxy] as Pair] : []),
    ...listed(1, "Labels", info.Labels),
    [1, "Experimental", String(info.ExperimentalBuild ?? false)],
    ...listed(1, "Insecure Registries", insecure),
    ...listed(1, "Registry Mirrors", info.RegistryConfig?.Mirrors),
    [1, "Live Restore Enabled", String(info.LiveRestoreEnabled ?? false)],
  ];
};

const format = (pairs: readonly Pair[]): string =>
  pairs
    .map(([depth, label, value]) => {
      const indent = " ".repeat(depth);
      return value === "\0" ? `${indent}${label}` : `${indent}${label}: ${value}`.trimEnd();
    })
    .join("\n");

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: { format: text('Format output: "json" or a Go template', "f") },
  args: NONE,
  run: async ({ context, flags }) => {
    const { output } = context;
    const client = await context.client();
    let info: InfoResponse | undefined;
    let failure: unknown;
    try {
      info = await client.call("info", {});
    } catch (error) {
      failure = error;
    }
    const own = { Version: VERSION, Context: (await context.host()).context, Debug: false };
    if (flags.format !== undefined && flags.format !== "") {
      if (info === undefined) throw failure;
      const template = flags.format === "json" ? "{{json .}}" : flags.format;
      output.line(evaluate(parseTemplate(template), { ...info, ClientInfo: own }));
      return 0;
    }
    output.line(
      `Client: naru\n Version:    ${own.Version}\n Context:    ${own.Context}\n\nServer:`,
    );
    if (info !== undefined) {
      output.line(`${format(serverPairs(info))}\n`);
      for (const warning of info.Warnings ?? []) output.error(warning);
    }
    if (failure === undefined) return 0;
    output.error(`ERROR: ${errorText(failure)}\nerrors pretty printing info`);
    return 1;
  },
});
