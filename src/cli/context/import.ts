import { checkContextName, TLS_FILES, writeContext } from "#client/context-store.ts";
import { type ContextMeta, listContexts } from "#client/contexts.ts";
import { defineCommand, TWO } from "#cli/framework/command.ts";
import { uploadFrom } from "#cli/terminal/save-stream.ts";
import { NaruError } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";

/** An exported context is a few certificates. */
const LIMIT_BYTES = 10 * 1024 * 1024;

const readArchive = async (chunks: AsyncIterable<Uint8Array>): Promise<Map<string, string>> => {
  const files = new Map<string, Buffer>();
  let name = "";
  let total = 0;
  const parser = new TarParser({
    entry: (entry) => {
      name = entry.name;
    },
    data: (bytes) => {
      files.set(name, Buffer.concat([files.get(name) ?? Buffer.alloc(0), bytes]));
    },
    entryEnd: () => undefined,
  });
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > LIMIT_BYTES) {
      throw new NaruError("invalid_argument", "this is no exported context: it is too large");
    }
    parser.push(chunk);
  }
  parser.end();
  return new Map([...files].map(([key, bytes]) => [key, bytes.toString("utf8")]));
};

const metaOf = (files: ReadonlyMap<string, string>): ContextMeta => {
  try {
    return JSON.parse(files.get("meta.json") ?? "") as ContextMeta;
  } catch (cause) {
    throw new NaruError("invalid_argument", 'this is no exported context: it has no "meta.json"', {
      cause,
    });
  }
};

export const command = defineCommand({
  usage: "CONTEXT FILE|-",
  flags: {},
  args: TWO,
  run: async ({ context, args }) => {
    const [name = "", path] = args;
    checkContextName(name);
    const known = await listContexts(context.configFolder);
    if (known.some(({ Name }) => Name === name)) {
      throw new NaruError("already_exists", `context "${name}" already exists`);
    }
    const files = await readArchive(await uploadFrom(path));
    const tls: Record<string, string> = {};
    for (const part of TLS_FILES) {
      const text = files.get(`tls/docker/${part}`);
      if (text !== undefined) tls[part] = text;
    }
    writeContext(context.configFolder, { ...metaOf(files), Name: name }, tls);
    context.output.line(name);
    context.output.error(`Successfully imported context "${name}"`);
    return 0;
  },
});
