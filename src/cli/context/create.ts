import { checkContextName, writeContext } from "#client/context-store.ts";
import { listContexts } from "#client/contexts.ts";
import { endpointOf, parseEndpoint } from "#cli/context/endpoint.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTEXT",
  flags: {
    description: text("Description of the context"),
    docker: text("Its engine: host=ADDRESS[,ca=FILE,cert=FILE,key=FILE,skip-tls-verify=BOOL]"),
    from: text("Create the context from a named one"),
  },
  args: ONE,
  examples: ["naru context create far --docker host=tcp://10.0.0.5:2376,ca=ca.pem"],
  run: async ({ context, flags, args }) => {
    const [name = ""] = args;
    checkContextName(name);
    const known = await listContexts(context.configFolder);
    if (known.some(({ Name }) => Name === name)) {
      throw new NaruError("already_exists", `context "${name}" already exists`);
    }
    if (flags.docker !== undefined && flags.from !== undefined) {
      throw new NaruError("invalid_argument", "cannot use --docker flag when --from is set");
    }
    const { endpoint, tls } =
      flags.docker === undefined
        ? await endpointOf(context, flags.from ?? (await context.currentContext()))
        : await parseEndpoint(context, flags.docker);
    writeContext(
      context.configFolder,
      {
        Name: name,
        Metadata: flags.description === undefined ? {} : { Description: flags.description },
        Endpoints: { docker: endpoint },
      },
      tls,
    );
    context.output.line(name);
    context.output.error(`Successfully created context "${name}"`);
    return 0;
  },
});
