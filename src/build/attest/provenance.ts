/** How a result came about: SLSA provenance v0.2 and v1 as BuildKit writes them (pure). */
import type { Material } from "#build/build.ts";

export const BUILD_TYPE = "https://mobyproject.org/buildkit@v1";
const METADATA = `${BUILD_TYPE}#metadata`;
const BUILD_TYPE_V1 =
  "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

export const PROVENANCE_TYPES = {
  "v0.2": "https://slsa.dev/provenance/v0.2",
  v1: "https://slsa.dev/provenance/v1",
} as const;

export interface ProvenanceOptions {
  /** max: also arguments, labels, the Dockerfile and the steps. Secrets are in neither. */
  readonly mode: "min" | "max";
  readonly version: keyof typeof PROVENANCE_TYPES;
  readonly builderId: string;
  readonly isReproducible: boolean;
}

export interface ProvenanceFacts {
  readonly invocationId: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** "linux/amd64": where it ran. */
  readonly platform: string;
  readonly frontend: string;
  /** The frontend's options as the client gave them. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly materials: readonly Material[];
  readonly dockerfile: { readonly name: string; readonly text: string } | undefined;
  readonly steps: readonly { readonly key: string; readonly description: string }[];
}

/** Matters of the connection and of this very document: they say nothing of the result. */
const isInternal = (name: string): boolean =>
  /^(?:attest:|local-sessionid:|vcs:|cache-imports$|cache-from$|frontend\.caps$|requestid$|multi-platform$|filename$|image-resolve-mode$)/.test(
    name,
  );

/** In mode=min what a user may take for private stays out. */
const argsOf = (
  attributes: ProvenanceFacts["attributes"],
  mode: ProvenanceOptions["mode"],
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(attributes)
      .filter(([name]) => !isInternal(name))
      .filter(([name]) => mode === "max" || !/^(?:build-arg:|label:)/.test(name))
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );

const vcsOf = (attributes: ProvenanceFacts["attributes"]): Record<string, string> =>
  Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) =>
      name.startsWith("vcs:") ? [[name.slice("vcs:".length), value]] : [],
    ),
  );

/** What naru's engine ran, in place of BuildKit's low-level definition. */
const stepsOf = ({ steps }: ProvenanceFacts): object => ({
  steps: steps.map(({ key, description }, index) => ({ id: `step${index}`, key, description })),
});

const sourceOf = ({ dockerfile }: ProvenanceFacts): object | undefined =>
  dockerfile === undefined
    ? undefined
    : {
        infos: [
          {
            filename: dockerfile.name,
            language: "Dockerfile",
            data: Buffer.from(dockerfile.text).toString("base64"),
          },
        ],
      };

const extraMetadata = (facts: ProvenanceFacts, isMax: boolean): Record<string, object> => {
  const vcs = vcsOf(facts.attributes);
  const source = isMax ? sourceOf(facts) : undefined;
  const more = {
    ...(Object.keys(vcs).length === 0 ? {} : { vcs }),
    ...(source === undefined ? {} : { source }),
  };
  return Object.keys(more).length === 0 ? {} : { [METADATA]: more };
};

const common = (facts: ProvenanceFacts, mode: ProvenanceOptions["mode"]) => {
  const { attributes } = facts;
  const args = argsOf(attributes, mode);
  const isMax = mode === "max";
  const isRemote = (attributes["context"] ?? "") !== "";
  const hasPrivate = Object.keys(attributes).some((name) => /^(?:build-arg:|label:)/.test(name));
  return {
    configSource: {
      ...(isRemote ? { uri: attributes["context"] } : {}),
      entryPoint: facts.dockerfile?.name ?? "Dockerfile",
      path: facts.dockerfile?.name ?? "Dockerfile",
    },
    request: {
      frontend: facts.frontend,
      ...(Object.keys(args).length === 0 ? {} : { args }),
      ...(isRemote ? {} : { locals: [{ name: "context" }, { name: "dockerfile" }] }),
    },
    completeness: {
      parameters: isMax || !hasPrivate,
      environment: true,
      // Files of the client's directory have no address to name them by.
      materials: isRemote,
    },
  };
};

const v02 = (facts: ProvenanceFacts, options: ProvenanceOptions): object => {
  const { configSource, request, completeness } = common(facts, options.mode);
  const { entryPoint, uri } = configSource;
  return {
    builder: { id: options.builderId },
    buildType: BUILD_TYPE,
    materials: facts.materials,
    invocation: {
      configSource: { ...(uri === undefined ? {} : { uri }), entryPoint },
      parameters: request,
      environment: { platform: facts.platform },
    },
    ...(options.mode === "max" ? { buildConfig: stepsOf(facts) } : {}),
    metadata: {
      buildInvocationID: facts.invocationId,
      buildStartedOn: facts.startedAt,
      buildFinishedOn: facts.finishedAt,
      completeness,
      reproducible: options.isReproducible,
      ...extraMetadata(facts, options.mode === "max"),
    },
  };
};

const v1 = (facts: ProvenanceFacts, options: ProvenanceOptions): object => {
  const { configSource, request, completeness } = common(facts, options.mode);
  const { path, uri } = configSource;
  return {
    buildDefinition: {
      buildType: BUILD_TYPE_V1,
      externalParameters: {
        configSource: { ...(uri === undefined ? {} : { uri }), path },
        request,
      },
      internalParameters: {
        builderPlatform: facts.platform,
        ...(options.mode === "max" ? { buildConfig: stepsOf(facts) } : {}),
      },
      resolvedDependencies: facts.materials,
    },
    runDetails: {
      builder: { id: options.builderId },
      metadata: {
        invocationId: facts.invocationId,
        startedOn: facts.startedAt,
        finishedOn: facts.finishedAt,
        buildkit_completeness: {
          request: completeness.parameters,
          resolvedDependencies: completeness.materials,
        },
        ...(options.isReproducible ? { buildkit_reproducible: true } : {}),
        buildkit_metadata: Object.values(extraMetadata(facts, options.mode === "max"))[0] ?? {},
      },
    },
  };
};

/** The predicate of a statement. */
export const provenance = (facts: ProvenanceFacts, options: ProvenanceOptions): object =>
  options.version === "v1" ? v1(facts, options) : v02(facts, options);
