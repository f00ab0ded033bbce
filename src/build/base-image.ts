/** The images that stages start from: here, made on this machine, or pulled. */
import type { BuildRequest } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { type StageState, stateOfImage } from "#build/state.ts";
import { NaruError } from "#lib/errors.ts";
import type { TransferEvent } from "#image/transfer.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import {
  type Reference,
  familiarString,
  parseReference,
  withDefaultTag,
} from "#spec/image/reference.ts";
import type { Platform } from "#spec/image/platform.ts";

/** What of a build decides how an image is come by. */
export type ImageRequest = Pick<BuildRequest, "credentials" | "isPulled" | "signal" | "onEvent">;

const HUB = "https://index.docker.io/v1/";

const credentialsFor = ({ credentials }: ImageRequest, reference: Reference): AuthConfig => {
  const names = reference.domain === "docker.io" ? [HUB, "docker.io"] : [reference.domain];
  for (const name of names) {
    const found = credentials.get(name) ?? credentials.get(`https://${name}`);
    if (found !== undefined) return found;
  }
  return {};
};

/** Tells of a transfer as fast as somebody listens; counts that nobody has taken are left out. */
const teller = (
  request: ImageRequest,
  step: number,
): { tell: (transfer: TransferEvent) => void; told: () => Promise<void> } => {
  let tail: Promise<void> = Promise.resolve();
  let waiting = 0;
  const tell = (transfer: TransferEvent): void => {
    if (transfer.current !== undefined && waiting > 0) return;
    waiting += 1;
    tail = tail
      .then(async () => await request.onEvent({ kind: "transfer", step, transfer }))
      .finally(() => {
        waiting -= 1;
      });
    tail.catch(() => undefined); // Told by `told`.
  };
  return { tell, told: () => tail };
};

const pull = async (
  { images }: BuildDependencies,
  request: ImageRequest,
  reference: Reference,
  platform: Platform | undefined,
  step: number,
): Promise<void> => {
  const { tell, told } = teller(request, step);
  await images.pull(familiarString(withDefaultTag(reference)), {
    credentials: credentialsFor(request, reference),
    onEvent: tell,
    isAllTags: false,
    signal: request.signal,
    ...(platform === undefined ? {} : { platform }),
  });
  await told();
};

/** Throws what the registry says. A name that is an id, or that only this machine makes, is not pulled. */
export const findImage = async (
  dependencies: BuildDependencies,
  request: ImageRequest,
  name: string,
  platform: Platform | undefined,
  step: number,
): Promise<StageState> => {
  const { images, snapshots } = dependencies;
  if (request.isPulled || images.find(name, platform) === undefined) {
    const made = images.provide(name);
    if (made !== undefined) await made;
    else await pull(dependencies, request, parseReference(name), platform, step);
  }
  const record = images.get(name, platform);
  await images.admit(name, record);
  if (record.chainId !== undefined && snapshots.layer(record.chainId) === undefined) {
    throw new NaruError("data_loss", `layers of image "${name}" are lost: pull it again`);
  }
  return stateOfImage(record);
};
