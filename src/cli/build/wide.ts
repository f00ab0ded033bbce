/** What of a build's flags needs the engine's exporters: several platforms, attestations, pushes, forms of archives. */
import { type Output, fieldsOf, parseOutput } from "#cli/build/inputs.ts";
import type { Client } from "#client/client.ts";
import { isAnswer } from "#client/errors.ts";
import { NaruError, hasCode } from "#lib/errors.ts";

/** As the engine is sent it. */
export interface Wide {
  readonly platforms: readonly string[];
  readonly attest: Readonly<Record<string, string>>;
  readonly outputs: readonly {
    readonly type: string;
    readonly attributes: Readonly<Record<string, string>>;
  }[];
}

interface WideFlags {
  readonly annotation: readonly string[];
  readonly attest: readonly string[];
  readonly load: boolean;
  readonly output: readonly string[];
  readonly platform: string | undefined;
  readonly provenance: string | undefined;
  readonly push: boolean;
  readonly sbom: string | undefined;
  readonly tag: readonly string[];
}

/** `--push` and `--load` are outputs in one word. */
export const outputsOf = (flags: Pick<WideFlags, "output" | "push" | "load">): Output[] => [
  ...flags.output.map(parseOutput),
  ...(flags.push ? [parseOutput("type=registry")] : []),
  ...(flags.load ? [parseOutput("type=image")] : []),
];

export const platformsOf = (text: string | undefined): string[] =>
  (text ?? "").split(",").filter((name) => name !== "");

/** "type=sbom,…" of `--attest`, and the values of `--provenance` and `--sbom`; "false" asks for none. */
const attestOf = ({ attest, provenance, sbom }: WideFlags): Record<string, string> => {
  const wanted: Record<string, string> = {};
  const add = (type: string, options: string): void => {
    if (options === "false" || options === "disabled=true") delete wanted[type];
    else wanted[type] = options === "true" ? "" : options;
  };
  for (const text of attest) {
    const fields = fieldsOf(text, "attest");
    const type = fields.get("type") ?? "";
    if (type !== "provenance" && type !== "sbom") {
      throw new NaruError("invalid_argument", `attestation "${text}": use type=provenance or sbom`);
    }
    fields.delete("type");
    add(type, [...fields].map(([key, value]) => `${key}=${value}`).join(","));
  }
  if (provenance !== undefined) add("provenance", provenance);
  if (sbom !== undefined) add("sbom", sbom);
  return wanted;
};

/** "index:key=value", "manifest[linux/amd64]:key=value", "key=value", as attributes of an exporter. */
const annotationsOf = (given: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    given.flatMap((text) => {
      const match = /^(?:([a-z,-]+(?:\[[^\]]+\])?):)?([^=]+)=(.*)$/s.exec(text);
      if (match === null) {
        throw new NaruError("invalid_argument", `annotation "${text}" must be key=value`);
      }
      const [, where = "manifest", key = "", value = ""] = match;
      return where.split(",").map((one) => [`annotation-${one}.${key}`, value]);
    }),
  );

/** Its own directory is the client's: the engine sends a tar. */
const attributesOf = (
  { type, names, attributes }: Output,
  tags: readonly string[],
  annotations: Readonly<Record<string, string>>,
): Record<string, string> => {
  const { tar: _tar, ...rest } = attributes;
  if (type === "local" || type === "tar") return rest;
  // Those of `--tag` and its own: no other output's.
  const all = [...new Set([...tags, ...names])];
  return { ...(all.length === 0 ? {} : { name: all.join(",") }), ...rest, ...annotations };
};

const isNarrow = ({ attributes }: Output): boolean => Object.keys(attributes).length === 0;

/**
 * undefined: the image, and what is read out of it again, do. A Docker archive without a destination is an image in the
 * engine. Throws invalid_argument.
 */
export const wideOf = (flags: WideFlags, outputs: readonly Output[]): Wide | undefined => {
  const platforms = platformsOf(flags.platform);
  const attest = attestOf(flags);
  const annotations = annotationsOf(flags.annotation);
  const isPlain =
    platforms.length < 2 &&
    Object.keys(attest).length === 0 &&
    Object.keys(annotations).length === 0 &&
    outputs.every(isNarrow);
  if (isPlain) return undefined;
  const nameless = outputs.find(({ names, attributes }) => {
    const isPushed = attributes["push"] === "true";
    return isPushed && names.length === 0 && flags.tag.length === 0;
  });
  if (nameless !== undefined) {
    throw new NaruError("invalid_argument", "a pushed image needs a name: -t REGISTRY/NAME:TAG");
  }
  const all = outputs.length === 0 ? [parseOutput("type=image")] : outputs;
  return {
    platforms,
    attest,
    outputs: all.map((output) => ({
      type: output.type === "docker" && output.destination === undefined ? "image" : output.type,
      attributes: attributesOf(output, flags.tag, annotations),
    })),
  };
};

/** Names of what the engine's naru/build understands; none of an engine from before there were any. */
export const engineFeatures = async (client: Client): Promise<readonly string[]> => {
  try {
    return (await client.call("naruBuildFeatures", {})).features;
  } catch (error) {
    if (isAnswer(error) && (hasCode(error, "not_found") || hasCode(error, "invalid_argument"))) {
      return [];
    }
    throw error;
  }
};

/** Throws not_implemented in place of a request that an older engine would misread. */
export const requireFeature = (
  features: readonly string[],
  feature: string,
  what: string,
): void => {
  if (features.includes(feature)) return;
  const reason = `${what} is not known to the engine, which is older than this command`;
  throw new NaruError("not_implemented", `${reason}: restart the engine with this naru`);
};
