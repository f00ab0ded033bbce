/*
 * A small closed-loop HTTP load generator: N keep-alive connections over a unix or TCP socket,
 * one fixed GET, for some seconds. Prints "requests seconds p50us p99us maxus failures".
 *
 *   load unix:/path|tcp:ADDR:PORT CONNECTIONS SECONDS PATH [FIELDS]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (8 << 20)
#define SAMPLES (1 << 22)

struct connection {
  int fd;
  double sent;
  size_t have;
  long body; /* bytes of the whole answer still unknown: -1; chunked: -2 */
  size_t total;
  char *data;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int dial(const char *target) {
  if (strncmp(target, "unix:", 5) == 0) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strncpy(a.sun_path, target + 5, sizeof a.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? fd : -1;
  }
  char host[64];
  int port;
  if (sscanf(target, "tcp:%63[^:]:%d", host, &port) != 2) return -1;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &a.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? fd : -1;
}

/* 1 when the whole answer is there. */
static int complete(struct connection *c) {
  if (c->total == 0) {
    char *end = memmem(c->data, c->have, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = end - c->data + 4;
    char saved = *end;
    *end = 0;
    char *length = strcasestr(c->data, "content-length:");
    int chunked = strcasestr(c->data, "chunked") != NULL;
    *end = saved;
    if (length)
      c->total = head + strtoul(length + 15, NULL, 10);
    else if (chunked)
      c->body = -2;
    else
      c->total = head;
  }
  if (c->body == -2) return c->have >= 5 && memcmp(c->data + c->have - 5, "0\r\n\r\n", 5) == 0;
  return c->have >= c->total;
}

static int by_value(const void *a, const void *b) {
  float d = *(const float *)a - *(const float *)b;
  return (d > 0) - (d < 0);
}

int main(int argc, char **argv) {
  if (argc < 5 || argc > 6) return 2;
  int count = atoi(argv[2]), epoll = epoll_create1(EPOLL_CLOEXEC);
  double seconds = atof(argv[3]);
  char request[1024];
  int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", argv[4], argc > 5 ? argv[5] : "");
  struct connection *list = calloc(count, sizeof *list);
  float *samples = malloc(SAMPLES * sizeof *samples);
  long done = 0, failures = 0;
  double begin = now();
  for (int i = 0; i < count; i++) {
    struct connection *c = &list[i];
    c->fd = dial(argv[1]);
    if (c->fd < 0) {
      perror(argv[1]);
      return 1;
    }
    c->data = malloc(BUFFER + 1);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
    c->sent = now();
    if (write(c->fd, request, length) != length) return 1;
  }
  struct epoll_event events[256];
  double end = begin + seconds;
  while (now() < end) {
    int ready = epoll_wait(epoll, events, 256, 100);
    for (int i = 0; i < ready; i++) {
      struct connection *c = events[i].data.ptr;
      ssize_t got = read(c->fd, c->data + c->have, BUFFER - c->have);
      if (got <= 0) {
        failures++;
        epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
        continue;
      }
      c->have += got;
      if (!complete(c)) continue;
      if (c->have < 12 || memcmp(c->data + 9, "200", 3) != 0) failures++;
      double t = now();
      samples[done++ % SAMPLES] = (t - c->sent) * 1e6;
      c->have = c->total = 0;
      c->body = 0;
      c->sent = now();
      if (write(c->fd, request, length) != length) failures++;
    }
  }
  double took = now() - begin;
  long kept = done < SAMPLES ? done : SAMPLES;
  if (kept == 0) return 1;
  qsort(samples, kept, sizeof *samples, by_value);
  printf("%ld %.3f %.1f %.1f %.1f %ld\n", done, took, samples[kept / 2],
         samples[(long)(kept * 0.99)], samples[kept - 1], failures);
  return 0;
}
