/** Structured logging. The sink (stderr, text or JSON) is given once by the composition root. */
export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each of its lines. */
  with(fields: LogFields): Logger;
}

export type LogSink = (level: LogLevel, message: string, fields: LogFields) => void;

export const createLogger = (sink: LogSink, bound: LogFields = {}): Logger => {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      sink(level, message, { ...bound, ...fields });
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (fields) => createLogger(sink, { ...bound, ...fields }),
  };
};

export const silentLogger: Logger = createLogger(() => undefined);
