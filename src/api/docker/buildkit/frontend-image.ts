/** A frontend out of an image: fetched, started, and served over its standard input and output until it ends. */
import type { Duplex } from "node:stream";

import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import { gatewayHandlers } from "#api/docker/buildkit/gateway.ts";
import { GatewayContainers } from "#api/docker/buildkit/gateway-containers.ts";
import type { GatewayScope } from "#api/docker/buildkit/gateway-scope.ts";
import type { Returned } from "#api/docker/buildkit/jobs.ts";
import { fetchImage } from "#api/docker/buildkit/resolve.ts";
import type { SolveContext, Solved } from "#api/docker/buildkit/solve.ts";
import { workerInfo } from "#api/docker/buildkit/worker-record.ts";
import { duplexOf } from "#api/grpc/duplex.ts";
import { GrpcServer } from "#api/grpc/server.ts";
import type { ImageRecord } from "#image/image.ts";
import { NaruError } from "#lib/errors.ts";
import type { RunStdio } from "#runtime/runtime.ts";
import { sourceDefinition } from "#spec/buildkit/llb.ts";
import { familiarString, parseReference, withDefaultTag } from "#spec/image/reference.ts";

const NETWORK_LABEL = "moby.buildkit.frontend.network.none";
const CAPABILITIES_LABEL = "moby.buildkit.frontend.caps";
const INPUTS = "moby.buildkit.frontend.inputs";
/** Frontends that asked each other. */
const DEPTH_MAX = 8;

const TRUE = /^(1|t|true)$/i;

/** "name+more,name": what follows a plus says how it is wished for. */
const capabilitiesOf = (text = ""): string[] =>
  text.split(",").flatMap((one) => (one === "" ? [] : [one.replace(/\+.*/s, "")]));

/** Throws not_implemented where the request needs what the frontend does not say it can. */
const checkCapabilities = (
  { config }: ImageRecord,
  attributes: Attributes,
  inputs: GatewayScope["inputs"],
): void => {
  const own = capabilitiesOf(config.config?.Labels?.[CAPABILITIES_LABEL]);
  const wanted = [
    ...capabilitiesOf(attributes["frontend.caps"]),
    ...(Object.keys(inputs).length > 0 ? [INPUTS] : []),
  ];
  const missing = wanted.find((one) => !own.includes(one));
  if (missing === undefined) return;
  throw new NaruError("not_implemented", `unsupported frontend capability ${missing}`);
};

/** The image's name, or that of the image that a named context puts in its place. */
const nameOf = (source: string, attributes: Attributes): string => {
  const given = attributes[`context:${source}`];
  if (given === undefined) return familiarString(withDefaultTag(parseReference(source)));
  const image = /^docker-image:\/\/(.+)$/s.exec(given)?.[1];
  if (image !== undefined) return familiarString(withDefaultTag(parseReference(image)));
  const what = `the frontend "${source}" from "${given}"`;
  throw new NaruError("not_implemented", `${what} is not supported by naru: use an image`);
};

/** As a frontend's program reads them. What is attested of the result is this engine's doing. */
const environmentOf = (attributes: Attributes, session: string): string[] => [
  ...Object.entries(attributes)
    .filter(([name]) => !name.startsWith("attest:"))
    .map(([name, value], index) => `BUILDKIT_FRONTEND_OPT_${index}=${name}=${value}`),
  `BUILDKIT_SESSION_ID=${session}`,
  `BUILDKIT_WORKERS=${JSON.stringify([workerInfo()])}`,
  "BUILDKIT_EXPORTEDPRODUCT=",
];

/** A program that is not listened to any more still gets rid of what it says, so that it can end. */
const drain = async (output: AsyncIterator<Uint8Array>): Promise<void> => {
  for (let next = await output.next(); next.done !== true;) next = await output.next();
};

const connectionOf = (stdio: RunStdio, signal: AbortSignal): Duplex => {
  const input = stdio.output[Symbol.asyncIterator]();
  return duplexOf({
    input: (async function* (): AsyncGenerator<Buffer, void> {
      for (let next = await input.next(); next.done !== true; next = await input.next()) {
        yield Buffer.from(next.value);
      }
    })(),
    signal,
    write: (data) => stdio.write(Buffer.from(data)),
    endOutput: () => stdio.end(),
    dropInput: () => {
      stdio.end();
      drain(input).catch(() => undefined); // It is gone, with all that it would have said.
    },
  });
};

const solvedOf = ({ result, metadata }: Returned): Solved =>
  result === undefined
    ? { kind: "answer", metadata: new Map(Object.entries(metadata)) }
    : { kind: "image", result };

const isRejected = (promise: Promise<unknown>): Promise<boolean> =>
  promise.then(
    () => false,
    () => true,
  );

/** Throws what the frontend gave back as an error, and failed_precondition where it ended without a result. */
export const runImageFrontend = async (
  context: SolveContext,
  source: string,
  attributes: Attributes,
  inputs: GatewayScope["inputs"],
): Promise<Solved> => {
  const { backend, job, session, depth = 0 } = context;
  if (depth >= DEPTH_MAX) {
    throw new NaruError("invalid_argument", `more than ${DEPTH_MAX} frontends asked each other`);
  }
  const name = nameOf(source, attributes);
  const image = await fetchImage(context, name, undefined);
  checkCapabilities(image, attributes, inputs);
  const { config: imageConfig } = image;
  const returned = Promise.withResolvers<Returned>();
  returned.promise.catch(() => undefined); // Told below.
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const containers = new GatewayContainers();
  const scope: GatewayScope = {
    job,
    inputs,
    containers,
    returned,
    context: (own) =>
      Promise.resolve({ ...context, depth: depth + 1, signal: AbortSignal.any([signal, own]) }),
  };
  const handlers = gatewayHandlers(backend, () => scope);
  const server = new GrpcServer((path) => handlers.get(path), backend.logger);
  const serve = (stdio: RunStdio): void => {
    // Ends with the program; a call that fails is told to it.
    server.serve(connectionOf(stdio, signal)).catch((error: unknown) => stop.abort(error));
  };
  const builds = await backend.builds();
  try {
    await builds.runFrontend({
      name,
      chainId: image.chainId,
      config: imageConfig.config ?? {},
      env: environmentOf(attributes, session?.id ?? ""),
      definition: sourceDefinition(`docker-image://${name}`),
      hasNetwork: !TRUE.test(imageConfig.config?.Labels?.[NETWORK_LABEL] ?? ""),
      onConnected: serve,
      signal,
    });
    const reason = `the frontend "${name}" ended without a result`;
    returned.reject(new NaruError("failed_precondition", reason));
  } catch (error) {
    // What the frontend itself told goes before the code that it ended with.
    returned.reject(error);
    if (context.signal.aborted || !(await isRejected(returned.promise))) throw error;
  } finally {
    stop.abort(new NaruError("canceled", `the frontend "${name}" is over`));
    await containers.close();
  }
  return solvedOf(await returned.promise);
};
