/** Docker Engine API: volumes (wire spelling kept). */
export interface VolumeResponse {
  CreatedAt: string;
  Driver: string;
  Labels: Record<string, string> | null;
  Mountpoint: string;
  Name: string;
  Options: Record<string, string> | null;
  Scope: "local" | "global";
  Status?: Record<string, unknown>;
  UsageData?: { Size: number; RefCount: number };
}

export interface VolumeCreateRequest {
  Name?: string;
  Driver?: string;
  DriverOpts?: Record<string, string> | null;
  Labels?: Record<string, string> | null;
}

/** naru's own: POST /naru/volumes/{name}/clone. */
export interface VolumeCloneRequest {
  Name: string;
  /** Instead of those of the original. */
  Labels?: Record<string, string>;
}
