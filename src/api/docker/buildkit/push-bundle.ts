/** A bundle to a registry with the credentials of the build's client, progress below a vertex. */
import { credentialsOf } from "#api/docker/buildkit/session-services.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import type { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import type { Bundle } from "#image/bundle.ts";
import type { TransferEvent } from "#image/transfer.ts";

export const pushBundle = async (
  { backend, session, signal }: SolveContext,
  vertex: ShownVertex,
  name: string,
  bundle: Bundle,
): Promise<void> => {
  const [credentials = {}] = (await credentialsOf(session, [name], signal)).values();
  let told: Promise<void> = Promise.resolve();
  let waiting = 0;
  const onEvent = (event: TransferEvent): void => {
    // Counts that nobody has taken are left out.
    if (event.current !== undefined && waiting > 0) return;
    waiting += 1;
    told = told.then(() => vertex.transfer(event)).finally(() => (waiting -= 1));
  };
  const bundles = await backend.images.bundles();
  await bundles.push(name, bundle, { credentials, signal, onEvent });
  await told;
};
