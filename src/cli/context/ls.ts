import { listContexts } from "#client/contexts.ts";
import { endpointOf } from "#cli/context/endpoint.ts";
import { renderListing } from "#cli/format/listing.ts";
import type { Row } from "#cli/format/listing.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, format } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: { format: format(), quiet: bool("Only show context names", "q") },
  args: NONE,
  run: async ({ context, flags }) => {
    const current = await context.currentContext();
    const others = await listContexts(context.configFolder);
    const own = context.givenHost ?? (await endpointOf(context, "default")).endpoint.Host ?? "";
    const isTable = ["", "table"].includes(flags.format?.trim() ?? "");
    const row = (name: string, description: string, endpoint: string): Row => ({
      Name: name,
      Description: description,
      DockerEndpoint: endpoint,
      Current: name === current,
      Error: "",
      ...(isTable ? { NameMark: `${name}${name === current ? " *" : ""}` } : {}),
    });
    context.output.print(
      renderListing({
        defaultTemplate: "{{.NameMark}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}",
        headers: {
          Name: "NAME",
          NameMark: "NAME",
          Description: "DESCRIPTION",
          DockerEndpoint: "DOCKER ENDPOINT",
          Current: "CURRENT",
          Error: "ERROR",
        },
        rows: [
          row("default", "The engine of this machine or of the environment", own),
          ...others.map((meta) =>
            row(
              meta.Name,
              meta.Metadata?.Description ?? "",
              meta.Endpoints?.["docker"]?.Host ?? "",
            ),
          ),
        ],
        format: flags.format,
        quietField: flags.quiet ? "Name" : undefined,
      }),
    );
    return 0;
  },
});
