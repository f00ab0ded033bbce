import { contextPaths, readTlsFiles } from "#client/context-store.ts";
import { readContext } from "#client/contexts.ts";
import { endpointOf } from "#cli/context/endpoint.ts";
import type { CliContext } from "#cli/context.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { inspectObjects } from "#cli/inspect-objects.ts";

const describe = async (context: CliContext, name: string): Promise<object> => {
  const { configFolder } = context;
  if (name === "default") {
    const { endpoint } = await endpointOf(context, name);
    return {
      Name: name,
      Metadata: {},
      Endpoints: { docker: endpoint },
      TLSMaterial: {},
      Storage: { MetadataPath: "<IN MEMORY>", TLSPath: "<IN MEMORY>" },
    };
  }
  const meta = await readContext(configFolder, name);
  const files = Object.keys(await readTlsFiles(configFolder, name));
  const paths = contextPaths(configFolder, name);
  return {
    Name: meta.Name,
    Metadata: meta.Metadata ?? {},
    Endpoints: meta.Endpoints ?? {},
    TLSMaterial: files.length === 0 ? {} : { docker: files },
    Storage: { MetadataPath: paths.meta, TLSPath: paths.tls },
  };
};

export const command = defineCommand({
  usage: "[OPTIONS] [CONTEXT...]",
  flags: { format: text('Format output: "json" or a Go template', "f") },
  args: ANY,
  completes: "contexts",
  run: async ({ context, flags, args }) => {
    const names = args.length > 0 ? args : [await context.currentContext()];
    return inspectObjects(context, names, flags.format, (name) => describe(context, name));
  },
});
