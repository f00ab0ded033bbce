import type { VersionResponse } from "#client/system-types.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { errorText } from "#cli/report.ts";
import { evaluate } from "#cli/template/evaluate.ts";
import { parseTemplate } from "#cli/template/parser.ts";
import { VERSION } from "#lib/version.ts";
import { API_VERSION_MAX } from "#spec/docker/api-version.ts";

interface ClientVersion {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly DefaultAPIVersion: string;
  readonly Os: string;
  readonly Arch: string;
  readonly BunVersion: string;
  readonly Context: string;
}

const LABEL_WIDTH = 20;

const lines = (indent: number, pairs: readonly (readonly [string, string])[]): string[] =>
  pairs.map(
    ([label, value]) =>
      `${" ".repeat(indent)}${`${label}:`.padEnd(LABEL_WIDTH - indent - 1)}${value}`,
  );

const clientLines = (client: ClientVersion): string[] => {
  const isDowngraded = client.ApiVersion !== client.DefaultAPIVersion;
  const note = isDowngraded ? ` (downgraded from ${client.DefaultAPIVersion})` : "";
  return [
    "Client: naru",
    ...lines(1, [
      ["Version", client.Version],
      ["API version", client.ApiVersion + note],
      ["Bun version", client.BunVersion],
      ["OS/Arch", `${client.Os}/${client.Arch}`],
      ["Context", client.Context],
    ]),
  ];
};

const detailsOf = (server: VersionResponse): Record<string, string> => ({
  ApiVersion: server.ApiVersion,
  MinAPIVersion: server.MinAPIVersion ?? "",
  GitCommit: server.GitCommit ?? "",
  GoVersion: server.GoVersion ?? "",
  BuildTime: server.BuildTime ?? "",
  Os: server.Os,
  Arch: server.Arch,
  Experimental: String(server.Experimental === true),
});

/** "Thu May  7 21:09:36 2026". */
const formatBuilt = (instant: string): string => {
  const date = new Date(instant);
  if (instant === "" || Number.isNaN(date.getTime())) return instant;
  const [weekday = "", day = "", month = "", year = "", time = ""] = date.toUTCString().split(" ");
  return `${weekday.slice(0, 3)} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`;
};

const serverLines = (server: VersionResponse): string[] => {
  const platform = server.Platform?.Name ?? "";
  const components = server.Components ?? [
    { Name: "Engine", Version: server.Version, Details: detailsOf(server) },
  ];
  const shown = components.flatMap((component) => {
    const details = component.Details ?? {};
    if (component.Name !== "Engine") {
      return [
        ` ${component.Name}:`,
        ...lines(2, [
          ["Version", component.Version],
          ["GitCommit", details["GitCommit"] ?? ""],
        ]),
      ];
    }
    return [
      " Engine:",
      ...lines(2, [
        ["Version", component.Version],
        [
          "API version",
          `${details["ApiVersion"] ?? ""} (minimum version ${details["MinAPIVersion"] ?? ""})`,
        ],
        ...(details["GoVersion"] ? ([["Go version", details["GoVersion"]]] as const) : []),
        ["Git commit", details["GitCommit"] ?? ""],
        ["Built", formatBuilt(details["BuildTime"] ?? "")],
        ["OS/Arch", `${details["Os"] ?? ""}/${details["Arch"] ?? ""}`],
        ["Experimental", details["Experimental"] ?? "false"],
      ]),
    ];
  });
  return [`Server:${platform === "" ? "" : ` ${platform}`}`, ...shown];
};

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: { format: text('Format output: "json" or a Go template', "f") },
  args: NONE,
  run: async ({ context, flags }) => {
    const { output } = context;
    const client = await context.client();
    let server: VersionResponse | undefined;
    let failure: unknown;
    try {
      server = await client.call("version", {});
    } catch (error) {
      failure = error;
    }
    const own: ClientVersion = {
      Version: VERSION,
      ApiVersion: client.version,
      DefaultAPIVersion: API_VERSION_MAX,
      Os: "linux",
      Arch: process.arch === "x64" ? "amd64" : process.arch,
      BunVersion: Bun.version,
      Context: (await context.host()).context,
    };
    if (flags.format === undefined || flags.format === "") {
      const parts = [
        ...clientLines(own),
        ...(server === undefined ? [] : ["", ...serverLines(server)]),
      ];
      output.line(parts.join("\n"));
    } else {
      const template = flags.format === "json" ? "{{json .}}" : flags.format;
      output.line(evaluate(parseTemplate(template), { Client: own, Server: server ?? null }));
    }
    if (failure === undefined) return 0;
    output.error(errorText(failure));
    return 1;
  },
});
