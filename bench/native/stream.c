/*
 * Bulk over TCP: `stream sink PORT` takes all that comes, on every connection, until it is killed; prints "ready".
 * `stream send ADDR PORT SECONDS` writes as fast as it goes over one connection and prints "bytes seconds", counted
 * when the other side has taken all of it: the sink answers the end of the stream with the number of bytes it took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (256 << 10)

static char block[BLOCK];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int sink(int port) {
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 8)) return perror("sink"), 1;
  puts("ready");
  fflush(stdout);
  for (;;) {
    int c = accept(s, 0, 0);
    if (c < 0) continue;
    uint64_t total = 0;
    for (ssize_t n; (n = recv(c, block, BLOCK, 0)) > 0;) total += n;
    send(c, &total, sizeof total, MSG_NOSIGNAL);
    close(c);
  }
}

static int source(const char *address, int port, double seconds) {
  int s = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, address, &a.sin_addr);
  if (connect(s, (struct sockaddr *)&a, sizeof a)) return perror("connect"), 1;
  uint64_t sent = 0, taken = 0;
  double begin = now(), end = begin + seconds;
  while (now() < end) {
    ssize_t n = send(s, block, BLOCK, MSG_NOSIGNAL);
    if (n < 0) return perror("send"), 1;
    sent += n;
  }
  shutdown(s, SHUT_WR);
  if (recv(s, &taken, sizeof taken, MSG_WAITALL) != sizeof taken || taken != sent) {
    fprintf(stderr, "sent %lu, taken %lu\n", (unsigned long)sent, (unsigned long)taken);
    return 1;
  }
  printf("%lu %.6f\n", (unsigned long)taken, now() - begin);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "sink")) return sink(atoi(argv[2]));
  if (argc == 5 && !strcmp(argv[1], "send")) return source(argv[2], atoi(argv[3]), atof(argv[4]));
  fputs("stream sink PORT | stream send ADDR PORT SECONDS\n", stderr);
  return 2;
}
