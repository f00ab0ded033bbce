/** PHP behind Apache, with composer's packages from a stage of their own. Pure. */
import type { Folder, Recipe } from "#cli/init/recipe.ts";
import { besideOf } from "#cli/init/recipe.ts";

/** composer's image has unzip and git, PHP's has neither. What an extension needs is asked of the last stage. */
const VENDOR = `FROM composer:2 AS vendor
WORKDIR /app
COPY composer.* ./
RUN --mount=type=cache,target=/tmp/cache composer install --no-interaction --no-dev --no-scripts --no-autoloader --ignore-platform-reqs
COPY . .
RUN composer dump-autoload --no-interaction --no-dev --optimize --ignore-platform-reqs

`;

/** Extensions that PHP's image does not have from the start, by what composer.json asks for. */
const extensionsOf = (composer: string): string => {
  const libraries = composer.includes("ext-pdo_pgsql") || composer.includes("ext-pgsql");
  const wanted = ["pdo_mysql", "mysqli", "pdo_pgsql", "pgsql", "bcmath", "intl", "zip"].filter(
    (name) => composer.includes(`"ext-${name}"`),
  );
  if (wanted.length === 0) return "";
  const packages = [
    ...(libraries ? ["libpq-dev"] : []),
    ...(wanted.includes("intl") ? ["libicu-dev"] : []),
    ...(wanted.includes("zip") ? ["libzip-dev"] : []),
  ];
  const install =
    packages.length === 0
      ? ""
      : `apt-get update && apt-get install -y --no-install-recommends ${packages.join(" ")} && rm -rf /var/lib/apt/lists/* \\\n && `;
  return `RUN ${install}docker-php-ext-install ${wanted.join(" ")}\n`;
};

export const php = (folder: Folder): Recipe | undefined => {
  const composer = folder.read("composer.json");
  if (composer === undefined && !folder.names.includes("index.php")) return undefined;
  const hasPublic = folder.names.includes("public");
  const root = hasPublic
    ? `RUN sed -ri "s!/var/www/html!/var/www/html/public!g" /etc/apache2/sites-available/*.conf && a2enmod rewrite\n`
    : "";
  const from = composer === undefined ? "COPY . ." : "COPY --from=vendor /app ./";
  return {
    kind: "PHP",
    reason: composer === undefined ? "index.php" : "composer.json",
    port: 80,
    ignored: ["vendor", ".env", "node_modules"],
    synced: ["./", "/var/www/html"],
    beside: besideOf(composer ?? ""),
    dockerfile: `${composer === undefined ? "" : VENDOR}FROM php:8.4-apache
${root}${extensionsOf(composer ?? "")}WORKDIR /var/www/html
${from}
EXPOSE 80
`,
  };
};
