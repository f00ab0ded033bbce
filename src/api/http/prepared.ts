/** A complete answer kept as bytes, for paths that must cost next to nothing. */
import { dateField } from "#api/http/date.ts";
import { reasonOf } from "#api/http/status-text.ts";

export class PreparedAnswer {
  readonly status: number;
  readonly fields: string;
  readonly body: string;
  #date = "";
  #bytes: Buffer = Buffer.alloc(0);

  constructor(status: number, fields: string, body: string) {
    this.status = status;
    this.fields = fields;
    this.body = body;
  }

  /** Head and body of a keep-alive answer; made anew when its Date is over. */
  bytes(serverFields: string): Buffer {
    const date = dateField();
    if (date !== this.#date) {
      this.#date = date;
      this.#bytes = Buffer.from(
        `HTTP/1.1 ${this.status} ${reasonOf(this.status)}\r\n${serverFields}${date}${this.fields}` +
          `Content-Length: ${Buffer.byteLength(this.body)}\r\n\r\n${this.body}`,
      );
    }
    return this.#bytes;
  }
}
