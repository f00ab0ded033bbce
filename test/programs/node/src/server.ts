import { createServer } from "node:http";
import ms from "ms";

const wait: number = ms("2s");

createServer((_request, response) => {
  response.end(`from node, ${wait}\n`);
}).listen(3000);
