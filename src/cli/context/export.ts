import { readTlsFiles } from "#client/context-store.ts";
import { readContext } from "#client/contexts.ts";
import { defineCommand } from "#cli/framework/command.ts";
import { checkTarget, saveStream } from "#cli/terminal/save-stream.ts";
import { plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";

// oxlint-disable-next-line require-await -- a stream of what is there already
async function* archive(files: Readonly<Record<string, string>>): AsyncGenerator<Uint8Array> {
  for (const [name, text] of Object.entries(files)) {
    const body = Buffer.from(text);
    yield tarHeader(plainEntry(name, { size: body.length, mode: 0o600 }));
    yield body;
    yield tarPadding(body.length);
  }
  yield TAR_END;
}

export const command = defineCommand({
  usage: "CONTEXT [FILE|-]",
  flags: {},
  args: { min: 1, max: 2 },
  completes: "contexts",
  description:
    "Writes CONTEXT.dockercontext, or the named file, with the keys of its certificates.",
  run: async ({ context, args }) => {
    const [name = "", target = `${name}.dockercontext`] = args;
    const meta = await readContext(context.configFolder, name);
    const tls = await readTlsFiles(context.configFolder, name);
    const path = target === "-" ? undefined : target;
    await checkTarget(context, path);
    const files = Object.entries(tls).map(([file, text]) => [`tls/docker/${file}`, text]);
    const all = { "meta.json": JSON.stringify(meta), ...Object.fromEntries(files) };
    await saveStream(context, archive(all as Record<string, string>), path);
    if (path !== undefined) context.output.error(`Written file "${path}"`);
    return 0;
  },
});
