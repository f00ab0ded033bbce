const http = require("http");
const net = require("net");
http
  .createServer((request, response) => {
    const cache = net.connect(6379, "cache", () => cache.write("INCR visits\r\n"));
    cache.once("data", (reply) => {
      response.end(`visit ${reply.toString().slice(1).trim()}\n`);
      cache.end();
    });
  })
  .listen(3000);
