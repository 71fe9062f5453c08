// What Swift cannot see of Linux. Every shim returns its result, or -errno: Swift never reads the
// thread's errno, which any call in between may change.
//
// No _GNU_SOURCE here: it would make this module's view of libc differ from Swift's Glibc module.
// GNU prototypes are declared by hand.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern int accept4(int, struct sockaddr *, socklen_t *, int);
extern int pipe2(int[2], int);

#define MARTLET_RESULT(call) \
  __typeof__(call) result = (call); \
  return result < 0 ? -(int64_t)errno : (int64_t)result

// Events ---------------------------------------------------------------------------------------

typedef struct epoll_event martlet_event;

static const uint32_t martlet_event_readable = EPOLLIN;
static const uint32_t martlet_event_writable = EPOLLOUT;
static const uint32_t martlet_event_closed = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
static const uint32_t martlet_event_half_closed = EPOLLRDHUP;
static const uint32_t martlet_event_broken = EPOLLERR;
static const uint32_t martlet_event_edge = (uint32_t)1 << 31;
static const uint32_t martlet_event_exclusive = (uint32_t)1 << 28;

static inline uint64_t martlet_event_data(const martlet_event *event) { return event->data.u64; }
static inline void martlet_event_set(martlet_event *event, uint32_t events, uint64_t data) {
  *event = (martlet_event){.events = events, .data = {.u64 = data}};
}

static inline int64_t martlet_epoll_create(void) { MARTLET_RESULT(epoll_create1(EPOLL_CLOEXEC)); }

static inline int64_t martlet_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data = {.u64 = data}};
  MARTLET_RESULT(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static inline int64_t martlet_epoll_change(int epoll, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data = {.u64 = data}};
  MARTLET_RESULT(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
}

static inline int64_t martlet_epoll_remove(int epoll, int fd) {
  struct epoll_event event = {0};
  MARTLET_RESULT(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event));
}

static inline int64_t martlet_epoll_wait(
    int epoll, martlet_event *events, int count, int milliseconds) {
  MARTLET_RESULT(epoll_wait(epoll, events, count, milliseconds));
}

static inline int64_t martlet_eventfd(void) { MARTLET_RESULT(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
// Blocks when it is read at zero; every read takes one.
static inline int64_t martlet_counting_eventfd(void) {
  MARTLET_RESULT(eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE));
}

static inline int64_t martlet_poll(struct pollfd *files, size_t count, int milliseconds) {
  MARTLET_RESULT(poll(files, count, milliseconds));
}
static const int16_t martlet_poll_half_closed = 0x2000;  // POLLRDHUP

// Sets are bits, as many as `count`, in words of 64.
static inline int64_t martlet_select(int count, void *readable, void *writable, int milliseconds) {
  struct timeval time = {milliseconds / 1000, (milliseconds % 1000) * 1000L};
  MARTLET_RESULT(
      select(count, (fd_set *)readable, (fd_set *)writable, NULL, milliseconds < 0 ? NULL : &time));
}
static const int martlet_set_size = FD_SETSIZE;

// The two queues of io_uring(7), with one descriptor for both. `data` comes back with what happened;
// what ends a poll answers with `answer`. All but open and close are of one thread.
typedef struct martlet_ring martlet_ring;
int64_t martlet_ring_open(uint32_t entries, martlet_ring **ring);
void martlet_ring_close(martlet_ring *ring);
int64_t martlet_ring_poll(martlet_ring *ring, int fd, uint32_t events, int repeats, uint64_t data);
int64_t martlet_ring_end_poll(martlet_ring *ring, uint64_t data, uint64_t answer);
// Hands over what was asked, and waits for one completion (-1: for ever; 0: not at all).
int64_t martlet_ring_enter(martlet_ring *ring, int milliseconds);
// The next completion, if there is one; `repeats`: more will come for this `data`.
int martlet_ring_take(martlet_ring *ring, uint64_t *data, int32_t *result, int *repeats);

// Bytes ----------------------------------------------------------------------------------------

static inline int64_t martlet_read(int fd, void *bytes, size_t count) {
  MARTLET_RESULT(read(fd, bytes, count));
}
static inline int64_t martlet_write(int fd, const void *bytes, size_t count) {
  MARTLET_RESULT(write(fd, bytes, count));
}
// These two by their numbers: the library's own are points at which a thread may be cancelled, and
// cost two locked instructions for that, though no thread here ever is.
static inline int64_t martlet_receive(int fd, void *bytes, size_t count, int flags) {
  MARTLET_RESULT(syscall(SYS_recvfrom, fd, bytes, count, flags, NULL, NULL));
}
static inline int64_t martlet_peek(int fd) {
  char byte;
  MARTLET_RESULT(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
}
static inline int64_t martlet_send(int fd, const void *bytes, size_t count) {
  MARTLET_RESULT(syscall(SYS_sendto, fd, bytes, count, MSG_NOSIGNAL, NULL, 0));
}
// More bytes follow at once: the kernel may wait for them before it sends a short packet.
static inline int64_t martlet_send_more(int fd, const void *bytes, size_t count) {
  MARTLET_RESULT(syscall(SYS_sendto, fd, bytes, count, MSG_NOSIGNAL | MSG_MORE, NULL, 0));
}
static inline int64_t martlet_send_gathered(
    int fd, const void *a, size_t a_count, const void *b, size_t b_count, const void *c,
    size_t c_count) {
  struct iovec parts[3] = {{(void *)a, a_count}, {(void *)b, b_count}, {(void *)c, c_count}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
  MARTLET_RESULT(sendmsg(fd, &message, MSG_NOSIGNAL));
}
static inline int64_t martlet_sendfile(int to, int from, int64_t offset, size_t count) {
  off_t at = offset;
  MARTLET_RESULT(sendfile(to, from, &at, count));
}
static inline int64_t martlet_close(int fd) { MARTLET_RESULT(close(fd)); }
static inline int64_t martlet_duplicate(int fd, int lowest) {
  MARTLET_RESULT(fcntl(fd, F_DUPFD_CLOEXEC, lowest));
}
static inline int64_t martlet_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  MARTLET_RESULT(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}
static inline int64_t martlet_set_close_on_exec(int fd, int on) {
  MARTLET_RESULT(fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}
static inline int64_t martlet_pipe(int ends[2]) { MARTLET_RESULT(pipe2(ends, O_CLOEXEC | O_NONBLOCK)); }
// A pipe to splice through, which holds up to `bytes`, or as much as this user may still have.
//
// splice(2) has no MSG_NOSIGNAL: a SIGPIPE that nobody handles is ignored from here on.
static inline int64_t martlet_splice_pipe(int ends[2], int bytes) {
  struct sigaction action;
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
  if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
    signal(SIGPIPE, SIG_IGN);
  }
  fcntl(ends[1], 1031 /* F_SETPIPE_SZ */, bytes);
  return 0;
}
// Moves what is there between a pipe and a socket, without copying where the kernel can.
static inline int64_t martlet_splice(int from, int to, size_t count) {
  MARTLET_RESULT(syscall(SYS_splice, from, NULL, to, NULL, count, 3u /* MOVE | NONBLOCK */));
}
static inline int64_t martlet_open(const char *path, int flags, unsigned mode) {
  MARTLET_RESULT(open(path, flags | O_CLOEXEC, mode));
}
static inline int64_t martlet_file_size(int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  return status.st_size;
}
// The kind of a file (S_IFMT bits), not following a symbolic link.
static inline int64_t martlet_file_kind(const char *path) {
  struct stat status;
  if (lstat(path, &status) < 0) return -errno;
  return status.st_mode & S_IFMT;
}
static const int64_t martlet_kind_socket = S_IFSOCK;
// What is known of an open file, or of one below a folder.
typedef struct {
  uint64_t device, number;
  int64_t size, modified_ns, changed_ns;
  uint32_t mode, user, links;
} martlet_file_facts;
int64_t martlet_facts_of_file(int fd, martlet_file_facts *to);
// How many bytes of the disk a file takes.
int64_t martlet_allocated(int fd);
// Gives the room of a part of a file back to the disk: it reads as zeros from then on.
int64_t martlet_punch(int fd, int64_t offset, int64_t count);
// With `follows` a symbolic link is what it points to.
int64_t martlet_facts_at(int folder, const char *path, int follows, martlet_file_facts *to);
static const uint32_t martlet_kind_regular = S_IFREG;
static const uint32_t martlet_kind_link = S_IFLNK;

// Opens a path below `folder` by the rules of openat2(2).
static const uint64_t martlet_resolve_no_magic_links = 2;
static const uint64_t martlet_resolve_no_links = 4;
static const uint64_t martlet_resolve_beneath = 8;
int64_t martlet_open_at(int folder, const char *path, int flags, unsigned mode, uint64_t resolve);
int64_t martlet_open_folder(const char *path);
static inline int64_t martlet_unlink_at(int folder, const char *name) {
  MARTLET_RESULT(unlinkat(folder, name, 0));
}
static inline int64_t martlet_rename_at(int folder, const char *from, int target, const char *to) {
  MARTLET_RESULT(renameat(folder, from, target, to));
}
// Gives a file of a folder a second name; -EEXIST when there is one of that name.
static inline int64_t martlet_link_at(int folder, const char *from, int target, const char *to) {
  MARTLET_RESULT(linkat(folder, from, target, to, 0));
}
static inline int64_t martlet_mkdir_at(int folder, const char *name, unsigned mode) {
  MARTLET_RESULT(mkdirat(folder, name, mode));
}
// When the content of a file was changed, in nanoseconds since 1970.
int64_t martlet_set_modified(int fd, int64_t nanoseconds);
static inline int64_t martlet_set_mode(int fd, unsigned mode) { MARTLET_RESULT(fchmod(fd, mode)); }

static inline int64_t martlet_unlink(const char *path) { MARTLET_RESULT(unlink(path)); }
// Removes a directory that is empty: -ENOTEMPTY otherwise.
static inline int64_t martlet_remove_directory(const char *path) { MARTLET_RESULT(rmdir(path)); }
static inline int64_t martlet_chmod(const char *path, unsigned mode) { MARTLET_RESULT(chmod(path, mode)); }
static inline int64_t martlet_chown(const char *path, unsigned user, unsigned group) {
  MARTLET_RESULT(chown(path, user, group));
}
static inline int64_t martlet_mkdir(const char *path, unsigned mode) { MARTLET_RESULT(mkdir(path, mode)); }
static inline int64_t martlet_rename(const char *from, const char *to) {
  MARTLET_RESULT(rename(from, to));
}

// Returns when the file is on its disk.
static inline int64_t martlet_sync(int fd) { MARTLET_RESULT(fsync(fd)); }

// Takes the lock of a file unless another process has it: -EWOULDBLOCK.
static inline int64_t martlet_lock(int fd) { MARTLET_RESULT(flock(fd, LOCK_EX | LOCK_NB)); }
static inline int64_t martlet_unlock(int fd) { MARTLET_RESULT(flock(fd, LOCK_UN)); }
static inline int64_t martlet_truncate(int fd) { MARTLET_RESULT(ftruncate(fd, 0)); }
// Goes to the new end of the file, too.
static inline int64_t martlet_shorten(int fd, int64_t size) {
  MARTLET_RESULT(ftruncate(fd, size) != 0 ? -1 : lseek(fd, size, SEEK_SET));
}
// A file without a name; it stays open when the process executes another program.
static inline int64_t martlet_memory_file(const char *name) {
  MARTLET_RESULT((int)syscall(SYS_memfd_create, name, 0));
}
// A file without a name and with a size that nobody can change.
static inline int64_t martlet_sealed_memory_file(const char *name, int64_t bytes) {
  int fd = (int)syscall(SYS_memfd_create, name, 3u /* CLOEXEC | ALLOW_SEALING */);
  if (fd < 0) return -errno;
  if (ftruncate(fd, bytes) < 0 || fcntl(fd, 1033 /* F_ADD_SEALS */, 7 /* SEAL, SHRINK, GROW */) < 0) {
    int64_t failure = -errno;
    close(fd);
    return failure;
  }
  return fd;
}
static inline int64_t martlet_read_at(int fd, void *bytes, size_t count, int64_t offset) {
  MARTLET_RESULT(pread(fd, bytes, count, offset));
}
static inline int64_t martlet_write_at(int fd, const void *bytes, size_t count, int64_t offset) {
  MARTLET_RESULT(pwrite(fd, bytes, count, offset));
}
static inline int64_t martlet_rewind(int fd) { MARTLET_RESULT(lseek(fd, 0, SEEK_SET)); }
static inline int64_t martlet_read_link(const char *path, char *to, size_t count) {
  MARTLET_RESULT(readlink(path, to, count));
}
typedef struct { uint32_t mode; uint32_t user; uint32_t group; } martlet_file_status;
// The status of a file, not following a symbolic link.
static inline int64_t martlet_status(const char *path, martlet_file_status *to) {
  struct stat status;
  if (lstat(path, &status) < 0) return -errno;
  *to = (martlet_file_status){status.st_mode, status.st_uid, status.st_gid};
  return 0;
}
static const uint32_t martlet_kind_mask = S_IFMT;
static const uint32_t martlet_kind_directory = S_IFDIR;
// The names in a directory, one call each; NULL at the end.
static inline void *martlet_open_directory(const char *path) { return opendir(path); }
// Reads the directory that is open as `fd`, which it closes.
static inline void *martlet_read_directory(int fd) {
  void *directory = fdopendir(fd);
  if (!directory) close(fd);
  return directory;
}
static inline const char *martlet_next_name(void *directory) {
  struct dirent *entry = readdir((DIR *)directory);
  return entry ? entry->d_name : NULL;
}
static inline void martlet_close_directory(void *directory) { closedir((DIR *)directory); }

// Sockets --------------------------------------------------------------------------------------

typedef struct {
  struct sockaddr_storage storage;
  socklen_t length;
} martlet_address;

static const int martlet_family_ipv4 = AF_INET;
static const int martlet_family_ipv6 = AF_INET6;
static const int martlet_family_unix = AF_UNIX;

static inline int martlet_address_family(const martlet_address *address) {
  return address->length < sizeof(sa_family_t) ? 0 : address->storage.ss_family;
}
static inline void martlet_address_ipv4(martlet_address *to, uint32_t host, uint16_t port) {
  struct sockaddr_in *in = (struct sockaddr_in *)&to->storage;
  memset(in, 0, sizeof *in);
  in->sin_family = AF_INET;
  in->sin_port = htons(port);
  in->sin_addr.s_addr = htonl(host);
  to->length = sizeof *in;
}
static inline void martlet_address_ipv6(
    martlet_address *to, const uint8_t host[16], uint16_t port, uint32_t scope) {
  struct sockaddr_in6 *in = (struct sockaddr_in6 *)&to->storage;
  memset(in, 0, sizeof *in);
  in->sin6_family = AF_INET6;
  in->sin6_port = htons(port);
  memcpy(&in->sin6_addr, host, 16);
  in->sin6_scope_id = scope;
  to->length = sizeof *in;
}
// A path of at most 107 bytes; a first byte 0 names the abstract namespace. Returns -ENAMETOOLONG.
static inline int64_t martlet_address_unix(martlet_address *to, const void *path, size_t count) {
  struct sockaddr_un *un = (struct sockaddr_un *)&to->storage;
  if (count >= sizeof un->sun_path) return -ENAMETOOLONG;
  memset(un, 0, sizeof *un);
  un->sun_family = AF_UNIX;
  memcpy(un->sun_path, path, count);
  int abstract = count > 0 && un->sun_path[0] == 0;
  to->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + (abstract ? 0 : 1));
  return 0;
}
static inline uint32_t martlet_address_ipv4_host(const martlet_address *address) {
  return ntohl(((const struct sockaddr_in *)&address->storage)->sin_addr.s_addr);
}
static inline void martlet_address_ipv6_host(const martlet_address *address, uint8_t host[16]) {
  memcpy(host, &((const struct sockaddr_in6 *)&address->storage)->sin6_addr, 16);
}
static inline uint32_t martlet_address_ipv6_scope(const martlet_address *address) {
  return ((const struct sockaddr_in6 *)&address->storage)->sin6_scope_id;
}
static inline uint16_t martlet_address_port(const martlet_address *address) {
  // The port stands at the same place in both families.
  return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
}
// Copies the path into `path` (108 bytes) and returns its length; 0 for an unnamed socket.
static inline int64_t martlet_address_unix_path(const martlet_address *address, void *path) {
  size_t head = offsetof(struct sockaddr_un, sun_path);
  if (address->length <= head) return 0;
  const char *from = ((const struct sockaddr_un *)&address->storage)->sun_path;
  size_t count = address->length - head;
  if (count > sizeof ((struct sockaddr_un *)0)->sun_path) {
    count = sizeof ((struct sockaddr_un *)0)->sun_path;
  }
  if (count > 0 && from[0] != 0) count = strnlen(from, count);
  memcpy(path, from, count);
  return (int64_t)count;
}

static const int martlet_kind_stream = SOCK_STREAM;
static const int martlet_kind_datagram = SOCK_DGRAM;

static inline int64_t martlet_socket(int family, int kind) {
  MARTLET_RESULT(socket(family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}
// A socket for echo requests of ICMP, which any process of a group that the kernel names may open
// (net.ipv4.ping_group_range); a raw one needs CAP_NET_RAW.
static inline int64_t martlet_echo_socket(int family, int is_raw) {
  int protocol = family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
  int kind = is_raw ? SOCK_RAW : SOCK_DGRAM;
  MARTLET_RESULT(socket(family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}
static inline int64_t martlet_socket_pair(int ends[2]) {
  MARTLET_RESULT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
}
int64_t martlet_message_pair(int ends[2]), martlet_unnamed_file(const char *folder);
static inline int64_t martlet_bind(int fd, const martlet_address *address) {
  MARTLET_RESULT(bind(fd, (const struct sockaddr *)&address->storage, address->length));
}
static inline int64_t martlet_listen(int fd, int backlog) { MARTLET_RESULT(listen(fd, backlog)); }
static inline int64_t martlet_connect(int fd, const martlet_address *address) {
  MARTLET_RESULT(connect(fd, (const struct sockaddr *)&address->storage, address->length));
}
static inline int64_t martlet_disconnect(int fd) {
  struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  MARTLET_RESULT(connect(fd, &nowhere, sizeof nowhere));
}
static inline int64_t martlet_accept(int fd, martlet_address *peer) {
  peer->length = sizeof peer->storage;
  MARTLET_RESULT(
      accept4(fd, (struct sockaddr *)&peer->storage, &peer->length, SOCK_CLOEXEC | SOCK_NONBLOCK));
}
static inline int64_t martlet_local_address(int fd, martlet_address *address) {
  address->length = sizeof address->storage;
  MARTLET_RESULT(getsockname(fd, (struct sockaddr *)&address->storage, &address->length));
}
static inline int64_t martlet_send_to(
    int fd, const void *bytes, size_t count, const martlet_address *to) {
  MARTLET_RESULT(sendto(
      fd, bytes, count, MSG_NOSIGNAL, to ? (const struct sockaddr *)&to->storage : NULL,
      to ? to->length : 0));
}
static inline int64_t martlet_receive_from(int fd, void *bytes, size_t count, martlet_address *from) {
  from->length = sizeof from->storage;
  MARTLET_RESULT(
      recvfrom(fd, bytes, count, MSG_TRUNC, (struct sockaddr *)&from->storage, &from->length));
}
static inline int64_t martlet_shutdown_write(int fd) { MARTLET_RESULT(shutdown(fd, SHUT_WR)); }
static inline int64_t martlet_shutdown_read(int fd) { MARTLET_RESULT(shutdown(fd, SHUT_RD)); }
static inline int64_t martlet_set_option(int fd, int level, int name, int value) {
  MARTLET_RESULT(setsockopt(fd, level, name, &value, sizeof value));
}
static inline int64_t martlet_get_option(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(fd, level, name, &value, &length) < 0) return -errno;
  return value;
}
// Whether the congestion control of a TCP socket spreads over time what is sent; and one that does not.
int64_t martlet_is_paced(int fd);
int64_t martlet_unpace(int fd);
static inline int64_t martlet_set_linger(int fd, int on, int seconds) {
  struct linger linger = {.l_onoff = on, .l_linger = seconds};
  MARTLET_RESULT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}
static const int martlet_level_socket = SOL_SOCKET;
static const int martlet_level_tcp = IPPROTO_TCP;
static const int martlet_level_ipv4 = IPPROTO_IP;
static const int martlet_level_ipv6 = IPPROTO_IPV6;
static const int martlet_option_error = SO_ERROR;
static const int martlet_option_reuse_address = SO_REUSEADDR;
static const int martlet_option_reuse_port = SO_REUSEPORT;
static const int martlet_option_keep_alive = SO_KEEPALIVE;
static const int martlet_option_receive_buffer = SO_RCVBUF;
static const int martlet_option_send_buffer = SO_SNDBUF;
static const int martlet_option_broadcast = SO_BROADCAST;
static const int martlet_option_listening = SO_ACCEPTCONN;
static const int martlet_option_no_delay = TCP_NODELAY;
static const int martlet_option_cork = TCP_CORK;
static const int martlet_option_quick_ack = TCP_QUICKACK;
static const int martlet_option_keep_idle = TCP_KEEPIDLE;
static const int martlet_option_keep_interval = TCP_KEEPINTVL;
static const int martlet_option_keep_count = TCP_KEEPCNT;
static const int martlet_option_user_timeout = TCP_USER_TIMEOUT;
static const int martlet_option_defer_accept = TCP_DEFER_ACCEPT;
static const int martlet_option_fast_open = TCP_FASTOPEN;
static const int martlet_option_ipv6_only = IPV6_V6ONLY;
static const int martlet_option_bind_no_port = IP_BIND_ADDRESS_NO_PORT;
static const int martlet_option_transparent = IP_TRANSPARENT;
static const int martlet_option_transparent_ipv6 = 75;  // IPV6_TRANSPARENT of linux/in6.h

typedef struct { int32_t process; uint32_t user; uint32_t group; } martlet_credentials;
// struct ucred needs _GNU_SOURCE; the kernel's layout is these three.
static inline int64_t martlet_peer_credentials(int fd, martlet_credentials *credentials) {
  socklen_t length = sizeof *credentials;
  MARTLET_RESULT(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, &length));
}

// Sends bytes with up to 64 descriptors, or receives them.
enum { martlet_descriptors_at_once = 64 };
int64_t martlet_send_descriptors(
    int fd, const void *bytes, size_t count, const int32_t *descriptors, size_t descriptor_count);
int64_t martlet_receive_descriptors(
    int fd, void *bytes, size_t count, int32_t *descriptors, size_t *descriptor_count);

// Several datagrams with one call: a table of slots of `size` bytes each, which is never moved. A slot
// holds a datagram, who sent it or is to get it, and at which of our addresses it arrived or is to
// leave from.
typedef struct martlet_datagrams martlet_datagrams;
typedef struct {
  uint64_t high, low;  // IPv4: 0, and the host
  uint32_t scope;
  uint16_t port;
  uint16_t family;  // 0: none
} martlet_endpoint;
martlet_datagrams *martlet_datagrams_create(int count, size_t size);
void martlet_datagrams_destroy(martlet_datagrams *all);
// Receives into slots `first` to `first + count - 1` what is there; of connected sockets, whose sender is
// known, with `connected`. The address of arrival is told where the socket was asked to tell it.
int64_t martlet_datagrams_receive(
    martlet_datagrams *all, int fd, int first, int count, int connected);
// The same for one datagram of a connected socket; returns its length.
int64_t martlet_datagrams_receive_one(martlet_datagrams *all, int fd, int slot);
size_t martlet_datagrams_length(const martlet_datagrams *all, int slot);
int martlet_datagrams_truncated(const martlet_datagrams *all, int slot);
const uint8_t *martlet_datagrams_bytes(const martlet_datagrams *all, int slot);
void martlet_datagrams_peer(const martlet_datagrams *all, int slot, martlet_endpoint *to);
void martlet_datagrams_arrival(const martlet_datagrams *all, int slot, martlet_endpoint *to);
// Says where a slot is sent to, and from which of our addresses if that is told.
void martlet_datagrams_address(
    martlet_datagrams *all, int slot, const martlet_endpoint *to, const martlet_endpoint *from);
// Sends a slot over a connected socket; several at once to where each was addressed.
int64_t martlet_datagrams_send_one(const martlet_datagrams *all, int fd, int slot);
int64_t martlet_datagrams_send(martlet_datagrams *all, int fd, int first, int count);
// Has a socket tell at which address each datagram arrived.
int64_t martlet_tell_arrival(int fd, int family);

// Resolves a name; calls blocks. Writes up to `capacity` addresses and returns how many, or the
// getaddrinfo error (negative) shifted below -1000 so that it cannot be taken for an errno.
int64_t martlet_resolve(const char *name, uint16_t port, martlet_address *to, size_t capacity);
const char *martlet_resolve_message(int64_t result);

// Time -----------------------------------------------------------------------------------------

static inline int64_t martlet_monotonic_coarse_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
static inline int64_t martlet_monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
static inline int64_t martlet_wall_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// Processes, threads and signals ---------------------------------------------------------------

static inline uint64_t martlet_thread(void) { return (uint64_t)pthread_self(); }
int64_t martlet_start_thread(void (*body)(void *), void *context, size_t stack_bytes);
void martlet_pause(void);
int64_t martlet_futex_wait(const void *word, uint32_t expected, int64_t until_ns);
int64_t martlet_futex_wake(const void *word, int count);
static inline int64_t martlet_block_signals(const int *signals, size_t count) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < count; i++) sigaddset(&set, signals[i]);
  return -(int64_t)pthread_sigmask(SIG_BLOCK, &set, NULL);
}
static inline int64_t martlet_signalfd(const int *signals, size_t count) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < count; i++) sigaddset(&set, signals[i]);
  MARTLET_RESULT(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}
// The number of the next signal that arrived, or -EAGAIN.
static inline int64_t martlet_next_signal(int fd) {
  struct signalfd_siginfo info;
  ssize_t count = read(fd, &info, sizeof info);
  return count < 0 ? -errno : (int64_t)info.ssi_signo;
}
static inline void martlet_ignore_broken_pipes(void) { signal(SIGPIPE, SIG_IGN); }
static inline int64_t martlet_pidfd(int pid) { MARTLET_RESULT((int)syscall(SYS_pidfd_open, pid, 0)); }
// Starts a program in a folder, with three descriptors as its standard input, output and error, which wait there,
// and no others. It leads a group of its own; signals are neither blocked nor ignored.
int64_t martlet_spawn_piped(
    const char *path, char *const arguments[], char *const environment[], const char *folder,
    int32_t input, int32_t output, int32_t error);
// Limits what another process of this user may use: seconds of processor time, bytes of memory; 0: no limit.
int64_t martlet_limit(int pid, uint64_t seconds, uint64_t bytes);
// Replaces this process; blocked signals stay blocked. Returns only on failure.
int64_t martlet_execute(const char *path, char *const arguments[], char *const environment[]);
static inline int64_t martlet_kill(int pid, int signal) { MARTLET_RESULT(kill(pid, signal)); }
static inline int64_t martlet_kill_group(int pid, int signal) { MARTLET_RESULT(kill(-pid, signal)); }
// The wait status of a child that ended, -EAGAIN while it runs.
static inline int64_t martlet_reap(int pid) {
  int status = 0;
  pid_t ended = waitpid(pid, &status, WNOHANG);
  if (ended < 0) return -errno;
  return ended == 0 ? -EAGAIN : status;
}
static inline int martlet_exited(int status) { return WIFEXITED(status); }
static inline int martlet_exit_code(int status) { return WEXITSTATUS(status); }
static inline int martlet_exit_signal(int status) { return WTERMSIG(status); }
static inline int64_t martlet_die_with_parent(void) { MARTLET_RESULT(prctl(PR_SET_PDEATHSIG, SIGTERM)); }
static inline int64_t martlet_no_new_privileges(void) { MARTLET_RESULT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }
int64_t martlet_forbid_dumps(void);
void martlet_forget(const void *bytes, size_t count);
// User and group numbers of a user's name: -ENOENT when there is none.
int64_t martlet_find_user(const char *name, uint32_t *user, uint32_t *group);
int64_t martlet_find_group(const char *name, uint32_t *group);
// Gives up the rights of root for good.
int64_t martlet_become(uint32_t user, uint32_t group);
// The environment as execve(2) takes it.
char **martlet_environment(void);
static inline uint32_t martlet_effective_user(void) { return geteuid(); }
static inline int32_t martlet_process(void) { return getpid(); }
static inline int64_t martlet_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  return limit.rlim_cur > (1 << 20) ? (1 << 20) : (int64_t)limit.rlim_cur;
}
// Raises the limit as far as it goes, but not above `most`; lowers it to that.
static inline int64_t martlet_set_descriptor_limit(uint64_t most) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  limit.rlim_cur = limit.rlim_max < most ? limit.rlim_max : most;
  MARTLET_RESULT(setrlimit(RLIMIT_NOFILE, &limit));
}
// How many descriptors are open; 0 before Linux 6.2, which does not say so.
static inline int64_t martlet_open_descriptors(void) {
  struct stat status;
  if (stat("/proc/self/fd", &status) < 0) return -errno;
  return status.st_size;
}
static inline void martlet_yield(void) { (void)sched_yield(); }
static inline int64_t martlet_processor_count(void) {
  MARTLET_RESULT(sysconf(_SC_NPROCESSORS_ONLN));
}
int64_t martlet_available_processors(void);
static inline int64_t martlet_random(void *bytes, size_t count) {
  MARTLET_RESULT(syscall(SYS_getrandom, bytes, count, 0));
}

// Memory ---------------------------------------------------------------------------------------

// Zero pages that cost nothing until they are touched.
static inline void *martlet_map_zeros(size_t count) {
  void *pages = mmap(
      NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return pages == MAP_FAILED ? NULL : pages;
}
static inline void martlet_unmap(void *pages, size_t count) { munmap(pages, count); }

#include "Between.h"
