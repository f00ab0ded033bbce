import { checkContextName, writeContext } from "#client/context-store.ts";
import { readContext } from "#client/contexts.ts";
import { parseEndpoint } from "#cli/context/endpoint.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTEXT",
  flags: {
    description: text("Description of the context"),
    docker: text("Its engine: host=ADDRESS[,ca=FILE,cert=FILE,key=FILE,skip-tls-verify=BOOL]"),
  },
  args: ONE,
  completes: "contexts",
  run: async ({ context, flags, args }) => {
    const [name = ""] = args;
    checkContextName(name);
    const meta = await readContext(context.configFolder, name);
    const chosen =
      flags.docker === undefined ? undefined : await parseEndpoint(context, flags.docker);
    writeContext(
      context.configFolder,
      {
        ...meta,
        Metadata: {
          ...meta.Metadata,
          ...(flags.description === undefined ? {} : { Description: flags.description }),
        },
        ...(chosen === undefined
          ? {}
          : { Endpoints: { ...meta.Endpoints, docker: chosen.endpoint } }),
      },
      chosen?.tls,
    );
    context.output.line(name);
    context.output.error(`Successfully updated context "${name}"`);
    return 0;
  },
});
