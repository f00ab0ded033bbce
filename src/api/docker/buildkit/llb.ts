/** Builds by LLB definitions: what the graph reads comes from the client's session, its progress goes to the status. */
import { dropNameless } from "#api/docker/buildkit/export.ts";
import { syncFiles } from "#api/docker/buildkit/file-sync.ts";
import { importLayout } from "#api/docker/buildkit/oci-layout.ts";
import { credentialsOf, secretOf } from "#api/docker/buildkit/session-services.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { sshSocketOf } from "#api/docker/buildkit/ssh.ts";
import { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import { LAYERS_SCHEME, type LlbClient, type LlbEvent, type LocalSource } from "#build/llb/llb.ts";
import type { BuildContext } from "#build/context.ts";
import { NaruError } from "#lib/errors.ts";
import { type LlbGraph, decodeDefinition, sourceDefinition } from "#spec/buildkit/llb.ts";
import { type Digest, digestOf, hexOf } from "#spec/image/digest.ts";

/** The vertices of one graph, each told when it first begins. */
class GraphVertices {
  readonly #shown = new Map<string, ShownVertex>();
  readonly #context: SolveContext;
  /** Of each vertex, how many of its outputs are being made. */
  readonly #running = new Map<string, number>();

  constructor(context: SolveContext, { vertices }: LlbGraph) {
    this.#context = context;
    const { log, ref } = context.job;
    for (const { digest, name, inputs } of vertices.values()) {
      const below = inputs.map((edge) => edge.digest);
      this.#shown.set(digest, new ShownVertex(log, ref, name, below, digest));
    }
  }

  of(digest: string): ShownVertex | undefined {
    return this.#shown.get(digest);
  }

  async announce(): Promise<void> {
    const { counts } = this.#context.job.steps;
    for (const vertex of this.#shown.values()) {
      counts.total += 1;
      await vertex.announce();
    }
  }

  async take(event: LlbEvent): Promise<void> {
    const { digest } = event;
    const vertex = this.#shown.get(digest);
    if (vertex === undefined) return;
    const running = this.#running.get(digest) ?? 0;
    const { counts } = this.#context.job.steps;
    switch (event.kind) {
      case "start":
        this.#running.set(digest, running + 1);
        if (running === 0) await vertex.start();
        return;
      case "output":
        return await vertex.output(event.stream, event.bytes);
      case "transfer":
        return await vertex.transfer(event.transfer);
      case "done":
        this.#running.set(digest, running - 1);
        if (running > 1) return;
        counts.completed += 1;
        if (event.isCached) counts.cached += 1;
        return await vertex.end({ isCached: event.isCached });
      case "failed":
        return await vertex.end({ error: event.message });
    }
  }
}

const receive = async (context: SolveContext, source: LocalSource): Promise<BuildContext> => {
  const { backend, sessions, signal } = context;
  const session =
    source.session === undefined ? context.session : await sessions.get(source.session, signal);
  if (session === undefined) {
    throw new NaruError("invalid_argument", `"${source.directory}" needs a session: there is none`);
  }
  const builds = await backend.builds();
  // Another choice of files is another tree.
  const { directory, includePatterns, excludePatterns, followPaths } = source;
  const key = [directory, session.sharedKey, includePatterns, excludePatterns, followPaths];
  const isKept = session.sharedKey !== "";
  const tree = await builds.contextTree(isKept ? hexOf(digestOf(JSON.stringify(key))) : undefined);
  const onProgress = (): void => undefined;
  return await syncFiles(session, tree, { ...source, onProgress, signal });
};

/** `held` has what it lends, and is disposed of after its use. */
export const clientOf = (context: SolveContext, held: DisposableStack): LlbClient => {
  const { backend, session, signal } = context;
  return {
    local: (source) => receive(context, source),
    secret: (id) => secretOf(session, id, signal),
    sshSocket: (id) => sshSocketOf(backend, session, id, held, signal),
    layout: async (store, digest) => {
      const builds = await backend.builds();
      const result = await importLayout(builds, session, store, digest, undefined, signal);
      dropNameless(context, result);
      return result.chainId;
    },
    credentials: async (image) => {
      const isHere = backend.images.find(image) !== undefined;
      return isHere ? new Map() : await credentialsOf(session, [image], signal);
    },
  };
};

/** Layers of the definition's result; they stay until `held` is disposed of. Throws invalid_argument. */
export const solveDefinition = async (
  context: SolveContext,
  definition: Uint8Array,
  held: DisposableStack,
): Promise<Digest | undefined> => {
  const graph = decodeDefinition(definition);
  const vertices = new GraphVertices(context, graph);
  await vertices.announce();
  const builds = await context.backend.builds();
  return await builds.solveLlb(
    {
      graph,
      client: clientOf(context, held),
      entitlements: context.job.entitlements,
      signal: context.signal,
      onEvent: (event) => vertices.take(event),
    },
    held,
  );
};

/** A definition whose result are these layers, for as long as they are here. */
export const definitionOf = (chainId: Digest | undefined): Uint8Array =>
  sourceDefinition(`${LAYERS_SCHEME}://${chainId ?? ""}`);
