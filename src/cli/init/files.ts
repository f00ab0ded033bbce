/** The files `naru init` writes for a recipe. Pure. */
import { stringify } from "yaml";
import type { Beside, Recipe } from "#cli/init/recipe.ts";

const IGNORED = [".git", ".gitignore", "Dockerfile", ".dockerignore", "compose*.yaml", "*.md"];

export const dockerignore = (recipe: Recipe): string =>
  [...IGNORED, ...recipe.ignored].map((line) => `${line}\n`).join("");

interface BesideService {
  readonly service: Record<string, unknown>;
  readonly environment: Readonly<Record<string, string>>;
  readonly volume: string | undefined;
}

const PASSWORD = "${DB_PASSWORD:-change-me}";

const health = (test: string): Record<string, unknown> => ({
  test,
  interval: "5s",
  timeout: "3s",
  retries: 10,
});

const BESIDE: Readonly<Record<Beside, BesideService>> = {
  postgres: {
    service: {
      image: "postgres:17-alpine",
      environment: { POSTGRES_USER: "app", POSTGRES_DB: "app", POSTGRES_PASSWORD: PASSWORD },
      volumes: ["postgres:/var/lib/postgresql/data"],
      healthcheck: health("pg_isready -U app"),
    },
    environment: { DATABASE_URL: `postgres://app:${PASSWORD}@postgres:5432/app` },
    volume: "postgres",
  },
  mysql: {
    service: {
      image: "mariadb:11",
      environment: {
        MARIADB_USER: "app",
        MARIADB_DATABASE: "app",
        MARIADB_PASSWORD: PASSWORD,
        MARIADB_RANDOM_ROOT_PASSWORD: "1",
      },
      volumes: ["mysql:/var/lib/mysql"],
      healthcheck: health("healthcheck.sh --connect --innodb_initialized"),
    },
    environment: { DATABASE_URL: `mysql://app:${PASSWORD}@mysql:3306/app` },
    volume: "mysql",
  },
  redis: {
    service: {
      image: "redis:8-alpine",
      volumes: ["redis:/data"],
      healthcheck: health("redis-cli ping"),
    },
    environment: { REDIS_URL: "redis://redis:6379" },
    volume: "redis",
  },
  rabbitmq: {
    service: {
      image: "rabbitmq:4-alpine",
      hostname: "rabbitmq",
      volumes: ["rabbitmq:/var/lib/rabbitmq"],
      healthcheck: health("rabbitmq-diagnostics -q ping"),
    },
    environment: { AMQP_URL: "amqp://guest:guest@rabbitmq:5672" },
    volume: "rabbitmq",
  },
  mongodb: {
    service: {
      image: "mongo:8",
      volumes: ["mongodb:/data/db"],
      healthcheck: health("mongosh --quiet --eval 'db.runCommand(\"ping\").ok'"),
    },
    environment: { MONGODB_URL: "mongodb://mongodb:27017/app" },
    volume: "mongodb",
  },
};

/** `hostPort`: where the application is published on this machine. */
export const composeFile = (recipe: Recipe, hostPort = recipe.port): string => {
  const environment = Object.assign(
    {},
    ...recipe.beside.map((name) => BESIDE[name].environment),
  ) as Record<string, string>;
  const volumes = recipe.beside.map((name) => BESIDE[name].volume).filter((v) => v !== undefined);
  const watch = [
    ...(recipe.synced === undefined
      ? []
      : [
          {
            action: recipe.restarts === true ? "sync+restart" : "sync",
            path: recipe.synced[0],
            target: recipe.synced[1],
            ignore: recipe.ignored,
          },
        ]),
    // Compiled programs are built from all of it; elsewhere from what names the dependencies.
    ...(recipe.synced === undefined
      ? [{ action: "rebuild", path: "./", ignore: recipe.ignored }]
      : recipe.restarts === true
        ? [{ action: "rebuild", path: recipe.reason }]
        : []),
    { action: "rebuild", path: "Dockerfile" },
  ];
  const app = {
    build: ".",
    ports: [`127.0.0.1:\${PORT:-${String(hostPort)}}:${String(recipe.port)}`],
    ...(Object.keys(environment).length === 0 ? {} : { environment }),
    ...(recipe.beside.length === 0
      ? {}
      : {
          depends_on: Object.fromEntries(
            recipe.beside.map((name) => [name, { condition: "service_healthy" }]),
          ),
        }),
    init: true,
    restart: "unless-stopped",
    develop: { watch },
  };
  return stringify(
    {
      services: {
        app,
        ...Object.fromEntries(
          recipe.beside.map((name) => [
            name,
            { ...BESIDE[name].service, restart: "unless-stopped" },
          ]),
        ),
      },
      ...(volumes.length === 0
        ? {}
        : { volumes: Object.fromEntries(volumes.map((name) => [name, null])) }),
    },
    { nullStr: "", lineWidth: 0 },
  );
};
