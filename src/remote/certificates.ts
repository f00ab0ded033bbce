/** TLS material of hosts: `<directory>/<host[:port]>/*.crt`, `*.cert` with `*.key`, as dockerd's certs.d. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { NaruError } from "#lib/errors.ts";
import { lateCrypto } from "#lib/late-builtins.ts";

export interface HostCertificates {
  /** PEM: authorities to trust besides the usual ones. */
  readonly authorities: readonly string[];
  /** PEM. */
  readonly client: { readonly cert: string; readonly key: string } | undefined;
  /** Files for authorities without a certificate in PEM: they are passed over, as by dockerd, and told of when it matters. */
  readonly unusable: readonly string[];
}

/** Where distributions keep the authorities that the machine's owner trusts. */
const SYSTEM_BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

const PEM = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g;

/** The certificates in a file that can be read: one that cannot would keep the runtime from connecting at all. */
const readAuthorities = (path: string): string[] => {
  const { X509Certificate } = lateCrypto();
  const isReadable = (pem: string): boolean => {
    try {
      return new X509Certificate(pem).raw.length > 0;
    } catch {
      return false;
    }
  };
  return (readFileSync(path, "utf8").match(PEM) ?? []).filter(isReadable);
};

const readClient = (certPath: string, keyPath: string): HostCertificates["client"] => {
  const { X509Certificate, createPrivateKey } = lateCrypto();
  const [cert, key] = [readFileSync(certPath, "utf8"), readFileSync(keyPath, "utf8")];
  let isPair: boolean;
  try {
    isPair = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    const reason = `"${certPath}" and "${keyPath}" are no certificate and key in PEM without a password`;
    throw new NaruError("failed_precondition", `client certificate: ${reason}`, { cause });
  }
  if (isPair) return { cert, key };
  throw new NaruError(
    "failed_precondition",
    `client certificate: the key "${keyPath}" does not belong to the certificate "${certPath}"`,
  );
};

const readFolder = (folder: string): HostCertificates => {
  const names = readdirSync(folder).toSorted();
  const authorities: string[] = [];
  const unusable: string[] = [];
  let client: HostCertificates["client"];
  for (const name of names) {
    const path = join(folder, name);
    if (name.endsWith(".crt")) {
      const found = readAuthorities(path);
      authorities.push(...found);
      if (found.length === 0) unusable.push(path);
    }
    if (name.endsWith(".key") && !names.includes(name.replace(/\.key$/, ".cert"))) {
      throw new NaruError(
        "failed_precondition",
        `missing client certificate "${name.replace(/\.key$/, ".cert")}" for key "${path}"`,
      );
    }
    if (!name.endsWith(".cert")) continue;
    const key = name.replace(/\.cert$/, ".key");
    if (!names.includes(key)) {
      throw new NaruError(
        "failed_precondition",
        `missing key "${key}" for client certificate "${path}": CA certificates must use the extension .crt`,
      );
    }
    client ??= readClient(path, join(folder, key));
  }
  return { authorities, client, unusable };
};

/**
 * Read anew at each call, so that a renewed certificate counts at once. The first directory's client wins.
 * `host` is a URL's: without the port where that is TLS's own, which the folder's name may have.
 */
export const certificatesOf = (host: string, directories: readonly string[]): HostCertificates => {
  const names = /:\d+$/.test(host) ? [host] : [host, `${host}:443`];
  const found = directories
    .flatMap((directory) => names.map((name) => join(directory, name)))
    .filter((folder) => /^[^/]+$/.test(host) && host !== ".." && existsSync(folder))
    .map(readFolder);
  return {
    authorities: found.flatMap((one) => one.authorities),
    client: found.find((one) => one.client !== undefined)?.client,
    unusable: found.flatMap((one) => one.unusable),
  };
};

/** The machine's own bundle; the runtime carries one too, but not what an owner added. */
export const systemAuthorities = (): string[] => {
  const path = SYSTEM_BUNDLES.find((candidate) => existsSync(candidate));
  return path === undefined ? [] : [readFileSync(path, "utf8")];
};
