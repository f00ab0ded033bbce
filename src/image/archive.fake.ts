/** For tests: image archives made of a few words. */
import { type TarEntryType, plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";
import { digestOf } from "#spec/image/digest.ts";

export interface Item {
  readonly name: string;
  readonly content?: string | Uint8Array;
  readonly type?: TarEntryType;
  readonly link?: string;
}

const header = (name: string, type: TarEntryType, size: number, linkName = ""): Uint8Array =>
  tarHeader(plainEntry(name, { type, linkName, size }));

export const tar = (...items: Item[]): Uint8Array =>
  Buffer.concat([
    ...items.flatMap(({ name, content = "", type = "file", link = "" }) => {
      const bytes = Buffer.from(content as string);
      return [header(name, type, bytes.length, link), bytes, tarPadding(bytes.length)];
    }),
    TAR_END,
  ]);

export const layer = (text: string): Uint8Array => tar({ name: "file", content: text });
export const configOf = (layers: Uint8Array[], architecture = "amd64"): string =>
  JSON.stringify({
    architecture,
    os: "linux",
    rootfs: { type: "layers", diff_ids: layers.map((bytes) => digestOf(bytes)) },
  });

export const source = async function* (
  bytes: Uint8Array,
  step = 1000,
): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
};

export const dockerItems = (layers: Uint8Array[], tags: string[] | null = ["app:1"]): Item[] => [
  ...layers.map((content, index) => ({ name: `layer${index}/layer.tar`, content })),
  { name: "config.json", content: configOf(layers) },
  {
    name: "manifest.json",
    content: JSON.stringify([
      {
        Config: "config.json",
        RepoTags: tags,
        Layers: layers.map((_, index) => `layer${index}/layer.tar`),
      },
    ]),
  },
];
