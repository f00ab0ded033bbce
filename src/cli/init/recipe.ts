/** What a recipe is made of, and what its dependencies say about the services beside it. Pure. */

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
  [
    "postgres",
    /\b(pg|postgres|postgresql|psycopg2?|asyncpg|pgx|lib\/pq|ext-pdo_pgsql|ext-pgsql)\b/,
  ],
  ["mysql", /\b(mysql2?|mariadb|pymysql|mysqlclient|go-sql-driver|ext-pdo_mysql|ext-mysqli)\b/],
  ["redis", /\b(redis|ioredis|predis|jedis|lettuce|ext-redis)\b/],
  ["rabbitmq", /\b(amqplib|amqp|pika|rabbitmq)\b/],
  ["mongodb", /\b(mongodb|mongoose|pymongo|mongo-driver)\b/],
];

export const besideOf = (text: string): Beside[] =>
  HINTS.filter(([, pattern]) => pattern.test(text.toLowerCase())).map(([name]) => name);
