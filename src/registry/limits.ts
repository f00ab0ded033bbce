/** The bounds of a registry, with what holds where the configuration says nothing. */
export interface RegistryLimits {
  /** Uploads that may be open at once; further ones get 429. */
  readonly maxUploads: number;
  /** Of one blob. */
  readonly maxBlobBytes: number;
  readonly maxManifestBytes: number;
  /** An upload that nobody wrote to for so long is removed. */
  readonly uploadExpiryMs: number;
  /** Rows of one page of tags, repositories or referrers. */
  readonly maxPage: number;
  /** Memory for manifests that were asked for lately. */
  readonly cacheBytes: number;
  /**
   * Collection leaves alone what was pushed, or said to be here, within this time: a client that was told so is
   * about to push the manifest that needs it.
   */
  readonly graceMs: number;
}

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: RegistryLimits = {
  maxUploads: 1000,
  maxBlobBytes: 64 * 1024 * MIB,
  maxManifestBytes: 4 * MIB,
  uploadExpiryMs: 24 * HOUR_MS,
  maxPage: 1000,
  cacheBytes: 16 * MIB,
  graceMs: HOUR_MS,
};
