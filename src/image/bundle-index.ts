/** Images, what is attested of each, and the index over them (pure). See bundle.ts. */
import { type Bundle, type BundleDocument, documentOf } from "#image/bundle.ts";
import { ATTESTATION, REFERENCE_DIGEST, REFERENCE_TYPE } from "#image/indexes.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from "#spec/image/media-type.ts";
import type { Platform } from "#spec/image/platform.ts";

const IN_TOTO = "application/vnd.in-toto+json";
const PREDICATE_TYPE = "in-toto.io/predicate-type";

/** Something else than what carries the statement, or that under one more name. */
export type AttestedSubject =
  | { readonly isSelf: true; readonly name: string }
  | {
      readonly isSelf: false;
      readonly name: string;
      readonly digest: Readonly<Record<string, string>>;
    };

/** An in-toto statement. */
export interface Attestation {
  readonly predicateType: string;
  readonly predicate: object | null;
  /** Of what it speaks; of what carries it where absent or empty. */
  readonly subjects?: readonly AttestedSubject[];
  /** Where it becomes a file. */
  readonly fileName?: string;
  /** Not for files. */
  readonly isInlineOnly?: boolean;
}

export interface IndexPart {
  readonly bundle: Bundle;
  readonly platform: Platform;
  readonly attestations: readonly Attestation[];
  /** Of the index's descriptor of the image. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** As descriptors have it. */
export const platformBody = ({ os, architecture, variant, osVersion }: Platform): Platform =>
  ({
    architecture,
    os,
    ...(osVersion === undefined ? {} : { "os.version": osVersion }),
    ...(variant === undefined ? {} : { variant }),
  }) as Platform;

const platformText = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");

/** "pkg:docker/team/app@1?platform=linux%2Famd64" (package-url, type docker). */
const subjectName = (name: string, platform: Platform): string => {
  const at = name.lastIndexOf(":");
  const hasTag = at > name.lastIndexOf("/");
  const [path, tag] = hasTag ? [name.slice(0, at), name.slice(at + 1)] : [name, "latest"];
  const query = `platform=${encodeURIComponent(platformText(platform))}`;
  return `pkg:docker/${path}@${encodeURIComponent(tag)}?${query}`;
};

const subjectsOf = (names: readonly string[], { bundle, platform }: IndexPart): OwnSubject[] => {
  const [, hex = ""] = bundle.root.digest.split(":");
  const digest = { sha256: hex };
  return names.map((name) => ({ name: subjectName(name, platform), digest }));
};

interface OwnSubject {
  readonly name: string;
  readonly digest: Readonly<Record<string, string>>;
}

/** `own`: what carries the statement. */
const allSubjects = (
  { subjects = [] }: Attestation,
  own: readonly OwnSubject[],
): readonly OwnSubject[] => {
  if (subjects.length === 0) return own;
  return subjects.flatMap((subject): readonly OwnSubject[] => {
    const { isSelf, name } = subject;
    if (!isSelf) return [{ name: name === "" ? "_" : name, digest: subject.digest }];
    if (name === "" || name === "_") return own;
    return own.flatMap((one) => [one, { ...one, name }]);
  });
};

/** The statement as a file holds it. */
export const statementText = (attestation: Attestation, own: readonly OwnSubject[]): string => {
  const { predicateType, predicate } = attestation;
  const subject = allSubjects(attestation, own);
  const statement = {
    _type: "https://in-toto.io/Statement/v0.1",
    predicateType,
    subject,
    predicate,
  };
  return JSON.stringify(statement, undefined, 2);
};

/** The manifest that holds them, behind what it speaks of. */
const attestationDocuments = (part: IndexPart, names: readonly string[]): BundleDocument[] => {
  const statements = part.attestations.map((one) => {
    const text = statementText(one, subjectsOf(names, part));
    const annotations = { [PREDICATE_TYPE]: one.predicateType };
    return documentOf(text, IN_TOTO, false, { annotations });
  });
  const layers = statements.map(({ descriptor }) => descriptor);
  const configText = JSON.stringify({
    architecture: "unknown",
    os: "unknown",
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
  });
  const config = documentOf(configText, OCI_CONFIG, false);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: config.descriptor,
    layers,
  };
  const root = documentOf(JSON.stringify(manifest, undefined, 2), OCI_MANIFEST, true, {
    annotations: {
      [REFERENCE_DIGEST]: part.bundle.root.digest,
      [REFERENCE_TYPE]: ATTESTATION,
    },
    platform: { architecture: "unknown", os: "unknown" },
  });
  return [...statements, config, root];
};

/** `annotations` are the index's own; `names` those that the images will have. */
export const indexBundle = (
  parts: readonly IndexPart[],
  names: readonly string[],
  annotations: Readonly<Record<string, string>>,
): Bundle => {
  const images = parts.map(({ bundle, platform, annotations: own }): Descriptor => ({
    ...bundle.root,
    ...(Object.keys(own).length === 0 ? {} : { annotations: own }),
    platform: platformBody(platform),
  }));
  const attested = parts
    .filter((part) => part.attestations.length > 0)
    .map((part) => attestationDocuments(part, names));
  const manifests = [...images, ...attested.flatMap((list) => list.at(-1)?.descriptor ?? [])];
  const index = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const root = documentOf(JSON.stringify(index, undefined, 2), OCI_INDEX, true);
  return {
    root: root.descriptor,
    documents: [...parts.flatMap(({ bundle }) => bundle.documents), ...attested.flat(), root],
    blobs: parts.flatMap(({ bundle }) => bundle.blobs),
  };
};
