// Says back what comes, by a loop of epoll and nothing else; its argument is the port.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void require(int holds, const char *what) {
  if (holds) return;
  perror(what);
  exit(1);
}

int main(int count, char **arguments) {
  require(count == 2, "the port is missing");
  int one = 1, poll = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {
    .sin_family = AF_INET,
    .sin_port = htons((uint16_t)atoi(arguments[1])),
    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  require(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
  require(listen(listener, 4096) == 0, "listen");
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
  require(epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) == 0, "epoll_ctl");
  static char bytes[16384];
  for (;;) {
    int ready = epoll_wait(poll, events, 512, -1);
    for (int place = 0; place < ready; place++) {
      int socket = events[place].data.fd;
      if (socket == listener) {
        int accepted = accept(listener, NULL, NULL);
        if (accepted < 0) continue;
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        event.data.fd = accepted;
        epoll_ctl(poll, EPOLL_CTL_ADD, accepted, &event);
        continue;
      }
      ssize_t length = recv(socket, bytes, sizeof bytes, 0);
      // A message is small, and its answer always has room.
      if (length <= 0 || send(socket, bytes, (size_t)length, MSG_NOSIGNAL) != length) close(socket);
    }
  }
}
