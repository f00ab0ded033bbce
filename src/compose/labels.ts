/** Labels by which docker compose knows what belongs to a project. */
export const LABEL = {
  project: "com.docker.compose.project",
  service: "com.docker.compose.service",
  configHash: "com.docker.compose.config-hash",
  number: "com.docker.compose.container-number",
  oneOff: "com.docker.compose.oneoff",
  slug: "com.docker.compose.slug",
  image: "com.docker.compose.image",
  dependsOn: "com.docker.compose.depends_on",
  version: "com.docker.compose.version",
  network: "com.docker.compose.network",
  volume: "com.docker.compose.volume",
  workingDir: "com.docker.compose.project.working_dir",
  configFiles: "com.docker.compose.project.config_files",
  environmentFile: "com.docker.compose.project.environment_file",
  replace: "com.docker.compose.replace",
} as const;
