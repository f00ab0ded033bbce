/** A project as it was loaded, and what loading needs: no file is read here but through `ProjectSource`. */
import type { Model, Service } from "#spec/compose/compose.ts";

export interface Project {
  /** Services that are on, with everything the file declares beside them. */
  readonly model: Model;
  /** Services whose profile is off. */
  readonly disabled: Readonly<Record<string, Service>>;
  /** Absolute. */
  readonly workingDirectory: string;
  /** Absolute, in the order of merging. */
  readonly files: readonly string[];
  readonly environmentFiles: readonly string[];
  readonly profiles: readonly string[];
  /** Variables as they were used: for `environment:` of secrets and configs. */
  readonly environment: Readonly<Record<string, string>>;
  /** Unset variables and other things worth a line on standard error. */
  readonly warnings: readonly string[];
}

export interface ProjectSource {
  /** The text of a file by absolute path; undefined when there is none. */
  read(path: string): string | undefined;
  /**
   * Brings what a git address names ("https://host/x.git#ref:dir") onto this machine: the absolute path
   * of the compose file there. Undefined when the name is no git address.
   */
  fetch?(address: string): string | undefined;
}

export interface LoadOptions {
  readonly source: ProjectSource;
  /** Absolute paths; later ones override earlier ones. */
  readonly files: readonly string[];
  /** Those of them that were fetched: their relative paths stand for the folders they lie in. */
  readonly fetchedFiles?: readonly string[];
  /** Absolute; what relative paths stand for. */
  readonly workingDirectory: string;
  /** Goes before the file's own `name`. */
  readonly name?: string | undefined;
  /** Used when neither `name` nor the file says one; cleaned up to be valid. */
  readonly fallbackName: string;
  /** Shell over `.env`: already put together. */
  readonly environment: Readonly<Record<string, string>>;
  readonly environmentFiles?: readonly string[];
  readonly profiles: readonly string[];
  /** Services the user named: their profiles are on. */
  readonly named?: readonly string[];
  readonly home?: string | undefined;
  /** Off: `config --no-interpolate`. */
  readonly isInterpolated?: boolean;
  /** Off: `config --no-path-resolution`. */
  readonly isPathResolved?: boolean;
  /** Off: what follows from others is not filled in: `config --no-normalize`. */
  readonly isNormalized?: boolean;
  /** Off: whether the whole holds together is not asked: `config --no-consistency`. */
  readonly isChecked?: boolean;
  /** Off: `env_file` stays as it is: `config --no-env-resolution`. */
  readonly isEnvironmentResolved?: boolean;
}
