/** What kind of application a folder holds, and what it needs to run in a container. Pure. */

export interface Folder {
  /** The text of a file in the folder; undefined when there is none. */
  read(name: string): string | undefined;
  /** Names in the folder. */
  readonly names: readonly string[];
}

export interface Recipe {
  /** "Node", "Python" … */
  readonly kind: string;
  /** What led to it, for the user. */
  readonly reason: string;
  readonly dockerfile: string;
  readonly ignored: readonly string[];
  /** Where it listens. */
  readonly port: number;
  /** Copied into the running container by `compose watch`: [path, target]. */
  readonly synced?: readonly [string, string];
  /** A program reads its sources once: it starts anew after a copy. */
  readonly restarts?: boolean;
  /** Services beside it, found in what it depends on. */
  readonly beside: readonly Beside[];
}

export type Beside = "postgres" | "mysql" | "redis" | "rabbitmq" | "mongodb";

const HINTS: readonly (readonly [Beside, RegExp])[] = [
  ["postgres", /\b(pg|postgres|postgresql|psycopg2?|asyncpg|pgx|lib\/pq)\b/],
  ["mysql", /\b(mysql2?|mariadb|pymysql|mysqlclient|go-sql-driver)\b/],
  ["redis", /\b(redis|ioredis|predis|jedis|lettuce)\b/],
  ["rabbitmq", /\b(amqplib|amqp|pika|rabbitmq)\b/],
  ["mongodb", /\b(mongodb|mongoose|pymongo|mongo-driver)\b/],
];

const besideOf = (text: string): Beside[] =>
  HINTS.filter(([, pattern]) => pattern.test(text.toLowerCase())).map(([name]) => name);

interface PackageJson {
  readonly engines?: { readonly node?: string };
  readonly scripts?: Readonly<Record<string, string>>;
  readonly main?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const parsePackage = (text: string): PackageJson => {
  try {
    return JSON.parse(text) as PackageJson;
  } catch {
    // A broken package.json is still a Node project: what it would say is asked of its defaults.
    return {};
  }
};

const node = (folder: Folder): Recipe | undefined => {
  const text = folder.read("package.json");
  if (text === undefined) return undefined;
  const given = parsePackage(text);
  const version = /\d+/.exec(given.engines?.node ?? "")?.[0] ?? "22";
  const has = (name: string): boolean => folder.names.includes(name);
  const [lock, install] = has("pnpm-lock.yaml")
    ? ["pnpm-lock.yaml", "corepack enable && pnpm install --frozen-lockfile"]
    : has("yarn.lock")
      ? ["yarn.lock", "corepack enable && yarn install --frozen-lockfile"]
      : has("package-lock.json")
        ? ["package-lock.json", "npm ci"]
        : ["", "npm install"];
  const build = given.scripts?.["build"] === undefined ? "" : "RUN npm run build\n";
  const start =
    given.scripts?.["start"] === undefined
      ? ["node", given.main ?? (has("server.js") ? "server.js" : "index.js")]
      : ["npm", "start"];
  return {
    kind: "Node",
    reason: "package.json",
    port: 3000,
    ignored: ["node_modules", "npm-debug.log", "dist", "coverage", ".env"],
    synced: has("src") ? ["./src", "/app/src"] : ["./", "/app"],
    restarts: true,
    beside: besideOf(Object.keys(given.dependencies ?? {}).join(" ")),
    dockerfile: `FROM node:${version}-slim AS build
WORKDIR /app
COPY package.json ${lock === "" ? "" : `${lock} `}./
RUN --mount=type=cache,target=/root/.npm ${install}
COPY . .
${build}
FROM node:${version}-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app ./
USER node
EXPOSE 3000
CMD ${JSON.stringify(start)}
`,
  };
};

const python = (folder: Folder): Recipe | undefined => {
  const requirements = folder.read("requirements.txt");
  const project = folder.read("pyproject.toml");
  const text = requirements ?? project;
  if (text === undefined) return undefined;
  const lower = text.toLowerCase();
  const entry = ["app.py", "main.py", "server.py", "manage.py"].find((name) =>
    folder.names.includes(name),
  );
  const module = (entry ?? "main.py").replace(/\.py$/, "");
  const command = lower.includes("django")
    ? ["python", "manage.py", "runserver", "0.0.0.0:8000"]
    : lower.includes("fastapi") || lower.includes("uvicorn")
      ? ["uvicorn", `${module}:app`, "--host", "0.0.0.0", "--port", "8000"]
      : lower.includes("gunicorn")
        ? ["gunicorn", "--bind", "0.0.0.0:8000", `${module}:app`]
        : lower.includes("flask")
          ? ["flask", "--app", module, "run", "--host", "0.0.0.0", "--port", "8000"]
          : ["python", entry ?? "main.py"];
  const install =
    requirements === undefined
      ? "COPY . .\nRUN --mount=type=cache,target=/root/.cache/pip pip install .\n"
      : "COPY requirements.txt ./\nRUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt\nCOPY . .\n";
  return {
    kind: "Python",
    reason: requirements === undefined ? "pyproject.toml" : "requirements.txt",
    port: 8000,
    ignored: ["__pycache__", "*.pyc", ".venv", "venv", ".pytest_cache", ".env"],
    synced: ["./", "/app"],
    restarts: true,
    beside: besideOf(lower),
    dockerfile: `FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
${install}RUN useradd --system app
USER app
EXPOSE 8000
CMD ${JSON.stringify(command)}
`,
  };
};

const go = (folder: Folder): Recipe | undefined => {
  const text = folder.read("go.mod");
  if (text === undefined) return undefined;
  const version = /^go (\d+\.\d+)/m.exec(text)?.[1] ?? "1.25";
  const main = folder.names.includes("cmd") ? "./cmd/..." : ".";
  const output = main === "." ? "-o /out/app" : "-o /out/";
  return {
    kind: "Go",
    reason: "go.mod",
    port: 8080,
    ignored: ["bin", "*.test", "*.out"],
    beside: besideOf(text),
    dockerfile: `FROM golang:${version} AS build
WORKDIR /src
COPY go.mod go.sum* ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \\
    CGO_ENABLED=0 go build ${output} ${main}

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /
EXPOSE 8080
ENTRYPOINT ["/app"]
`,
  };
};

const java = (folder: Folder): Recipe | undefined => {
  const maven = folder.read("pom.xml");
  const gradle = folder.read("build.gradle") ?? folder.read("build.gradle.kts");
  const text = maven ?? gradle;
  if (text === undefined) return undefined;
  const version =
    /<(?:java\.version|maven\.compiler\.release)>(\d+)</.exec(text)?.[1] ??
    /JavaVersion\.VERSION_(\d+)|languageVersion[^\d]*(\d+)/.exec(text)?.slice(1).find(Boolean) ??
    "21";
  const isMaven = maven !== undefined;
  return {
    kind: "Java",
    reason: isMaven ? "pom.xml" : "build.gradle",
    port: 8080,
    ignored: ["target", "build", ".gradle", "*.class"],
    beside: besideOf(text),
    dockerfile: isMaven
      ? `FROM maven:3-eclipse-temurin-${version} AS build
WORKDIR /src
COPY pom.xml ./
RUN --mount=type=cache,target=/root/.m2 mvn -q dependency:go-offline
COPY src ./src
RUN --mount=type=cache,target=/root/.m2 mvn -q package -DskipTests && cp target/*.jar /app.jar

FROM eclipse-temurin:${version}-jre
COPY --from=build /app.jar /app.jar
USER nobody
EXPOSE 8080
CMD ["java", "-jar", "/app.jar"]
`
      : `FROM gradle:jdk${version} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/home/gradle/.gradle gradle --no-daemon build -x test && cp build/libs/*.jar /app.jar

FROM eclipse-temurin:${version}-jre
COPY --from=build /app.jar /app.jar
USER nobody
EXPOSE 8080
CMD ["java", "-jar", "/app.jar"]
`,
  };
};

const php = (folder: Folder): Recipe | undefined => {
  const composer = folder.read("composer.json");
  const index = folder.names.includes("index.php") || folder.names.includes("public");
  if (composer === undefined && !folder.names.includes("index.php")) return undefined;
  const root = folder.names.includes("public") ? "/var/www/html/public" : "/var/www/html";
  const install =
    composer === undefined
      ? ""
      : "COPY --from=composer:2 /usr/bin/composer /usr/bin/composer\nCOPY composer.* ./\nRUN composer install --no-dev --no-scripts --no-autoloader\n";
  const finish = composer === undefined ? "" : "RUN composer dump-autoload --optimize\n";
  return {
    kind: "PHP",
    reason: composer === undefined ? "index.php" : "composer.json",
    port: 80,
    ignored: ["vendor", ".env", "node_modules"],
    ...(index ? { synced: ["./", "/var/www/html"] as const } : {}),
    beside: besideOf(composer ?? ""),
    dockerfile: `FROM php:8.4-apache
ENV APACHE_DOCUMENT_ROOT=${root}
RUN sed -ri "s!/var/www/html!$APACHE_DOCUMENT_ROOT!g" /etc/apache2/sites-available/*.conf
WORKDIR /var/www/html
${install}COPY . .
${finish}EXPOSE 80
`,
  };
};

const page = (folder: Folder): Recipe | undefined => {
  const root = ["index.html", "public/index.html", "dist/index.html"].find(
    (name) => folder.read(name) !== undefined,
  );
  if (root === undefined) return undefined;
  const from = root === "index.html" ? "." : (root.split("/")[0] ?? ".");
  return {
    kind: "static",
    reason: root,
    port: 80,
    ignored: ["node_modules"],
    synced: [`./${from === "." ? "" : from}`, "/usr/share/nginx/html"],
    beside: [],
    dockerfile: `FROM nginx:stable-alpine
COPY ${from} /usr/share/nginx/html
EXPOSE 80
`,
  };
};

/** The first that fits; undefined when nothing is known. */
export const detect = (folder: Folder): Recipe | undefined =>
  node(folder) ?? python(folder) ?? go(folder) ?? java(folder) ?? php(folder) ?? page(folder);
