/**
 * The daemon's options as data: dockerd's names wherever both have one (dockerd(8), "daemon.json").
 * Each can be a flag (`--data-root D`) or a key of the config file (`"data-root": "D"`).
 */

export type OptionKind = "string" | "boolean" | "list" | "map" | "number" | "object" | "objects";

export interface OptionSpec {
  /** Flag name without dashes; list flags are singular where dockerd's are. */
  readonly flag: string;
  /** Key in the config file. */
  readonly key: string;
  readonly short?: string;
  readonly kind: OptionKind;
  readonly help: string;
}

const option = (
  key: string,
  kind: OptionKind,
  help: string,
  flag = key,
  short?: string,
): OptionSpec =>
  short === undefined ? { key, flag, kind, help } : { key, flag, kind, help, short };

export const OPTIONS: readonly OptionSpec[] = [
  option(
    "hosts",
    "list",
    "Socket to listen on: unix://PATH, tcp://ADDRESS:PORT or fd://",
    "host",
    "H",
  ),
  option("data-root", "string", "Where images, containers and volumes are kept (/var/lib/naru)"),
  option("exec-root", "string", "Where what lives with the processes is kept (/run/naru)"),
  option("config-file", "string", "JSON file with these options (/etc/naru/daemon.json)"),
  option("pidfile", "string", "File to write the daemon's process id to", "pidfile", "p"),
  option("group", "string", "Group that may use the unix socket (docker)", "group", "G"),
  option("tlsverify", "boolean", "Let only clients with a certificate of --tlscacert in"),
  option("tlscacert", "string", "Certificate authority of the clients"),
  option("tlscert", "string", "The daemon's certificate"),
  option("tlskey", "string", "The daemon's key"),
  option(
    "insecure-tcp",
    "boolean",
    "Allow TCP without TLS: whoever reaches the port owns this machine",
  ),
  option("serve-images", "string", "ADDRESS:PORT where others may pull this engine's images"),
  option(
    "front-door",
    "boolean",
    "Lead http(s)://SERVICE.PROJECT.naru.localhost to containers (off)",
  ),
  option(
    "host-dns",
    "string",
    "Loopback ADDRESS:PORT where this machine can ask for names of containers, e.g. 127.0.0.153:53 (off)",
  ),
  option("front-door-http", "string", "PORT, ADDRESS:PORT or off: where it speaks HTTP (80)"),
  option("front-door-https", "string", "The same for HTTPS, by a local authority (443)"),
  option("debug", "boolean", "Same as --log-level debug", "debug", "D"),
  option("log-level", "string", "debug, info, warn or error (info)", "log-level", "l"),
  option("log-format", "string", "text or json (text)"),
  option("default-runtime", "string", "OCI runtime of containers: crun or runc (crun)"),
  option(
    "runtimes",
    "object",
    'Further OCI runtimes: {"name": {"path": "/usr/bin/x"}} (config file only)',
  ),
  option(
    "builder",
    "object",
    'What builds may be granted: {"entitlements": {"network-host": true, "security-insecure": false}} (config file only)',
  ),
  option("bip", "string", "Address and size of the default bridge, e.g. 172.30.0.1/16"),
  option("mtu", "number", "MTU of the default bridge (1500)"),
  option("ip", "string", "Where ports are published that name no host address (0.0.0.0)"),
  option(
    "publish-policy",
    "string",
    "open: such ports are for everyone; loopback: for this machine only (open)",
  ),
  option(
    "default-address-pools",
    "objects",
    'Where subnets of networks come from: base=10.10.0.0/16,size=24 (in the file: {"base": …, "size": …})',
    "default-address-pool",
  ),
  option("cgroup-parent", "string", "Parent cgroup of containers"),
  option("log-driver", "string", "Default log driver: json-file, local or none (json-file)"),
  option("log-opts", "map", "Default log option, e.g. max-size=20m", "log-opt"),
  option("default-shm-size", "string", "Size of /dev/shm (64m)"),
  option("labels", "list", "Label of this daemon, shown by info", "label"),
  option("seccomp-profile", "string", "Default seccomp profile: a file, builtin or unconfined"),
  option("init", "boolean", "Run an init in every container"),
  option("shutdown-timeout", "number", "Seconds to wait for requests under way when stopping (15)"),
  option(
    "registry-mirrors",
    "list",
    "Mirror of Docker Hub to ask first, e.g. https://mirror.local",
    "registry-mirror",
  ),
  option(
    "insecure-registries",
    "list",
    "Registry or network that may do without (verified) TLS; loopback always may",
    "insecure-registry",
  ),
  option(
    "allow-nondistributable-artifacts",
    "list",
    "Registry or network that foreign layers, which others may not pass on, are pushed to as well",
    "allow-nondistributable-artifacts",
  ),
  option(
    "registries",
    "object",
    'Rules by prefix: {"ghcr.io/team": {"mirrors": ["m.local/ghcr"], "location": "x.io/team", "blocked": true, "insecure": true}} (config file only)',
  ),
  option(
    "trust-policy",
    "string",
    "JSON file that says which images may be pulled and run (/etc/naru/trust.json, if it is there); docs/trust.md",
  ),
  option("max-concurrent-downloads", "number", "Layers pulled at the same time (3)"),
  option("max-concurrent-uploads", "number", "Layers pushed at the same time (5)"),
  option("max-download-attempts", "number", "Tries to reach a registry that does not answer (5)"),
  option("http-proxy", "string", "Proxy for registries without TLS ($HTTP_PROXY)"),
  option("https-proxy", "string", "Proxy for registries ($HTTPS_PROXY)"),
  option("no-proxy", "string", "Hosts and networks reached without it ($NO_PROXY)"),
  option(
    "proxies",
    "map",
    'The same three in the config file: {"http-proxy": "http://p:3128"}',
    "proxies",
  ),
  option(
    "undo-time",
    "string",
    "How long what rm and prune took away can be brought back by naru undo, e.g. 24h (off)",
  ),
  option(
    "disk-budget",
    "string",
    "What images, build cache, logs and what is kept for undo may take, e.g. 40GB: the least recently used goes (off)",
  ),
  option(
    "disk-budget-keep",
    "list",
    "Image that stays in any case, as repo or repo:tag; those with the label naru.keep do too",
  ),
  option(
    "layer-form",
    "string",
    "How new image layers are kept: erofs (their tar, mounted), directory (unpacked) or auto (auto)",
  ),
  option("live-restore", "boolean", "Always true: containers outlive the daemon"),
  option("userland-proxy", "boolean", "Always false: published ports need no process"),
  option("storage-driver", "string", "Always overlay2", "storage-driver", "s"),
];
