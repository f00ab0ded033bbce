import { renderListing } from "#cli/format/listing.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { format } from "#cli/framework/flags.ts";
import type { DoorRouteResponse } from "#spec/docker/front-door.ts";

type Target = DoorRouteResponse["Targets"][number];

const row = (route: DoorRouteResponse, target: Target) => ({
  Name: () => route.Host + (route.Path === "/" ? "" : route.Path),
  Container: () => target.Container,
  Target: () => target.Address,
  State: () => (target.Reason === "" ? target.State : `${target.State}: ${target.Reason}`),
});

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: { format: format() },
  args: NONE,
  description:
    "Names under which the front door leads to containers, by compose's labels, their own names, and the labels naru.http.host, naru.http.path and naru.http.port.",
  run: async ({ context, flags }) => {
    const client = await context.client();
    const { Routes, Listening, Problems } = await client.call("frontDoor", {});
    context.output.print(
      renderListing({
        defaultTemplate: "{{.Name}}\t{{.Container}}\t{{.Target}}\t{{.State}}",
        headers: { Name: "NAME", Container: "CONTAINER", Target: "TARGET", State: "STATE" },
        rows: Routes.flatMap((route) => route.Targets.map((target) => row(route, target))),
        format: flags.format,
        quietField: undefined,
      }),
    );
    if (flags.format === undefined) {
      if (Listening.length > 0) context.output.error(`listens on ${Listening.join(", ")}`);
      for (const problem of Problems) context.output.error(`problem: ${problem}`);
    }
    return Problems.length === 0 ? 0 : 1;
  },
});
