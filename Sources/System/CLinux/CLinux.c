#define _GNU_SOURCE
#include "CLinux.h"
#include <endian.h>
#include <linux/futex.h>
#include <netdb.h>
#include <stdio.h>

int64_t martlet_send_descriptors(
    int fd, const void *bytes, size_t count, const int32_t *descriptors, size_t descriptor_count) {
  if (descriptor_count > martlet_descriptors_at_once) return -EINVAL;
  union {
    char bytes[CMSG_SPACE(sizeof(int32_t) * martlet_descriptors_at_once)];
    struct cmsghdr aligned;
  } control;
  struct iovec part = {(void *)bytes, count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor_count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int32_t) * descriptor_count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int32_t) * descriptor_count);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int32_t) * descriptor_count);
  }
  MARTLET_RESULT(sendmsg(fd, &message, MSG_NOSIGNAL));
}

int64_t martlet_receive_descriptors(
    int fd, void *bytes, size_t count, int32_t *descriptors, size_t *descriptor_count) {
  union {
    char bytes[CMSG_SPACE(sizeof(int32_t) * martlet_descriptors_at_once)];
    struct cmsghdr aligned;
  } control;
  struct iovec part = {bytes, count};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1,
      .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  *descriptor_count = 0;
  ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (received < 0) return -errno;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t held = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int32_t);
    for (size_t i = 0; i < held; i++) {
      int32_t descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + i * sizeof descriptor, sizeof descriptor);
      if (*descriptor_count < martlet_descriptors_at_once) {
        descriptors[(*descriptor_count)++] = descriptor;
      } else {
        close(descriptor);
      }
    }
  }
  return received;
}

enum {
  datagram_control_bytes = CMSG_SPACE(sizeof(struct in6_pktinfo)),
  // Slots a power of two apart would all begin in one set of the processor's caches.
  datagram_gap_bytes = 192,
};

struct martlet_datagrams {
  int count;
  size_t size;
  uint8_t *bytes;
  struct mmsghdr *messages;
  struct iovec *parts;
  struct sockaddr_storage *peers;
  uint8_t *control;
};

void martlet_datagrams_destroy(martlet_datagrams *all) {
  if (!all) return;
  if (all->bytes) munmap(all->bytes, (all->size + datagram_gap_bytes) * (size_t)all->count);
  free(all->messages);
  free(all->parts);
  free(all->peers);
  free(all->control);
  free(all);
}

martlet_datagrams *martlet_datagrams_create(int count, size_t size) {
  martlet_datagrams *all = calloc(1, sizeof *all);
  if (!all) return NULL;
  all->count = count;
  all->size = size;
  size_t slots = (size_t)count;
  // Pages that no datagram reaches are never there.
  size_t stride = size + datagram_gap_bytes;
  all->bytes = mmap(NULL, stride * slots, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all->bytes == MAP_FAILED) all->bytes = NULL;
  all->messages = calloc(slots, sizeof *all->messages);
  all->parts = calloc(slots, sizeof *all->parts);
  all->peers = calloc(slots, sizeof *all->peers);
  all->control = calloc(slots, datagram_control_bytes);
  if (!all->bytes || !all->messages || !all->parts || !all->peers || !all->control) {
    martlet_datagrams_destroy(all);
    return NULL;
  }
  for (int i = 0; i < count; i++) {
    all->parts[i] = (struct iovec){all->bytes + stride * (size_t)i, size};
    all->messages[i].msg_hdr = (struct msghdr){
        .msg_name = &all->peers[i], .msg_iov = &all->parts[i], .msg_iovlen = 1};
  }
  return all;
}

int64_t martlet_datagrams_receive(
    martlet_datagrams *all, int fd, int first, int count, int connected) {
  for (int i = first; i < first + count; i++) {
    struct msghdr *header = &all->messages[i].msg_hdr;
    all->parts[i].iov_len = all->size;
    header->msg_namelen = connected ? 0 : sizeof all->peers[i];
    header->msg_control = connected ? NULL : all->control + datagram_control_bytes * (size_t)i;
    header->msg_controllen = connected ? 0 : datagram_control_bytes;
    header->msg_flags = 0;
  }
  int received = recvmmsg(fd, all->messages + first, (unsigned)count, MSG_DONTWAIT, NULL);
  if (received < 0) return -errno;
  for (int i = first; i < first + received; i++) all->parts[i].iov_len = all->messages[i].msg_len;
  return received;
}

int64_t martlet_datagrams_receive_one(martlet_datagrams *all, int fd, int slot) {
  struct iovec *part = &all->parts[slot];
  ssize_t received = syscall(SYS_recvfrom, fd, part->iov_base, all->size, MSG_DONTWAIT, NULL, NULL);
  if (received < 0) return -errno;
  part->iov_len = (size_t)received;
  return received;
}

size_t martlet_datagrams_length(const martlet_datagrams *all, int slot) {
  return all->parts[slot].iov_len;
}
int martlet_datagrams_truncated(const martlet_datagrams *all, int slot) {
  return (all->messages[slot].msg_hdr.msg_flags & MSG_TRUNC) != 0;
}
const uint8_t *martlet_datagrams_bytes(const martlet_datagrams *all, int slot) {
  return all->parts[slot].iov_base;
}

static void read_ipv6(const struct in6_addr *from, martlet_endpoint *to) {
  uint64_t words[2];
  memcpy(words, from, sizeof words);
  to->high = be64toh(words[0]);
  to->low = be64toh(words[1]);
  to->family = AF_INET6;
}

static void write_ipv6(const martlet_endpoint *from, struct in6_addr *to) {
  uint64_t words[2] = {htobe64(from->high), htobe64(from->low)};
  memcpy(to, words, sizeof words);
}

void martlet_datagrams_peer(const martlet_datagrams *all, int slot, martlet_endpoint *to) {
  *to = (martlet_endpoint){0};
  const struct msghdr *header = &all->messages[slot].msg_hdr;
  const struct sockaddr_storage *peer = &all->peers[slot];
  if (header->msg_namelen >= sizeof(struct sockaddr_in) && peer->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
    *to = (martlet_endpoint){
        .low = ntohl(in->sin_addr.s_addr), .port = ntohs(in->sin_port), .family = AF_INET};
  } else if (header->msg_namelen >= sizeof(struct sockaddr_in6) && peer->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)peer;
    read_ipv6(&in->sin6_addr, to);
    to->port = ntohs(in->sin6_port);
    to->scope = in->sin6_scope_id;
  }
}

void martlet_datagrams_arrival(const martlet_datagrams *all, int slot, martlet_endpoint *to) {
  *to = (martlet_endpoint){0};
  struct msghdr *header = (struct msghdr *)&all->messages[slot].msg_hdr;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(part), sizeof info);
      // The address that the datagram was sent to; ipi_spec_dst is that from which we answer.
      *to = (martlet_endpoint){.low = ntohl(info.ipi_spec_dst.s_addr), .family = AF_INET};
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(part), sizeof info);
      read_ipv6(&info.ipi6_addr, to);
      // A link-local address means nothing without its interface.
      if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) to->scope = info.ipi6_ifindex;
    }
  }
}

void martlet_datagrams_address(
    martlet_datagrams *all, int slot, const martlet_endpoint *to, const martlet_endpoint *from) {
  struct msghdr *header = &all->messages[slot].msg_hdr;
  memset(&all->peers[slot], 0, sizeof all->peers[slot]);
  if (to->family == AF_INET) {
    struct sockaddr_in *in = (struct sockaddr_in *)&all->peers[slot];
    in->sin_family = AF_INET;
    in->sin_port = htons(to->port);
    in->sin_addr.s_addr = htonl((uint32_t)to->low);
    header->msg_namelen = sizeof *in;
  } else {
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&all->peers[slot];
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(to->port);
    in->sin6_scope_id = to->scope;
    write_ipv6(to, &in->sin6_addr);
    header->msg_namelen = sizeof *in;
  }
  header->msg_control = NULL;
  header->msg_controllen = 0;
  header->msg_flags = 0;
  if (from->family == 0) return;
  header->msg_control = all->control + datagram_control_bytes * (size_t)slot;
  header->msg_controllen = datagram_control_bytes;
  memset(header->msg_control, 0, datagram_control_bytes);
  struct cmsghdr *part = CMSG_FIRSTHDR(header);
  if (from->family == AF_INET) {
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl((uint32_t)from->low)};
    part->cmsg_level = IPPROTO_IP;
    part->cmsg_type = IP_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(part), &info, sizeof info);
    header->msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    struct in6_pktinfo info = {.ipi6_ifindex = from->scope};
    write_ipv6(from, &info.ipi6_addr);
    part->cmsg_level = IPPROTO_IPV6;
    part->cmsg_type = IPV6_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(part), &info, sizeof info);
    header->msg_controllen = CMSG_SPACE(sizeof info);
  }
}

int64_t martlet_datagrams_send_one(const martlet_datagrams *all, int fd, int slot) {
  MARTLET_RESULT(syscall(SYS_sendto, fd, all->parts[slot].iov_base, all->parts[slot].iov_len,
                         MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0));
}

int64_t martlet_datagrams_send(martlet_datagrams *all, int fd, int first, int count) {
  MARTLET_RESULT(
      sendmmsg(fd, all->messages + first, (unsigned)count, MSG_NOSIGNAL | MSG_DONTWAIT));
}

int64_t martlet_is_paced(int fd) {
  char name[16] = "";
  socklen_t length = sizeof name;
  if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) < 0) return -errno;
  return strncmp(name, "bbr", 3) == 0;
}

int64_t martlet_unpace(int fd) {
  // Reno is in every kernel, and any process may choose it.
  MARTLET_RESULT(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
}

int64_t martlet_tell_arrival(int fd, int family) {
  int yes = 1;
  if (family == AF_INET) {
    MARTLET_RESULT(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof yes));
  }
  MARTLET_RESULT(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof yes));
}

static void read_facts(const struct stat *from, martlet_file_facts *to) {
  *to = (martlet_file_facts){
      .device = from->st_dev, .number = from->st_ino, .size = from->st_size,
      .modified_ns = (int64_t)from->st_mtim.tv_sec * 1000000000 + from->st_mtim.tv_nsec,
      .changed_ns = (int64_t)from->st_ctim.tv_sec * 1000000000 + from->st_ctim.tv_nsec,
      .mode = from->st_mode, .user = from->st_uid, .links = (uint32_t)from->st_nlink};
}

int64_t martlet_facts_of_file(int fd, martlet_file_facts *to) {
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  read_facts(&status, to);
  return 0;
}

int64_t martlet_allocated(int fd) {
  struct stat status;
  // Blocks of 512 bytes, whatever those of the disk are.
  return fstat(fd, &status) < 0 ? -errno : (int64_t)status.st_blocks * 512;
}

int64_t martlet_punch(int fd, int64_t offset, int64_t count) {
  MARTLET_RESULT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count));
}

int64_t martlet_facts_at(int folder, const char *path, int follows, martlet_file_facts *to) {
  struct stat status;
  if (fstatat(folder, path, &status, follows ? 0 : AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  read_facts(&status, to);
  return 0;
}

int64_t martlet_set_modified(int fd, int64_t nanoseconds) {
  int64_t rest = nanoseconds % 1000000000;
  int64_t seconds = nanoseconds / 1000000000;
  if (rest < 0) {
    rest += 1000000000;
    seconds -= 1;
  }
  struct timespec times[2] = {{0, UTIME_OMIT}, {seconds, rest}};
  MARTLET_RESULT(futimens(fd, times));
}

int64_t martlet_open_at(int folder, const char *path, int flags, unsigned mode, uint64_t resolve) {
  // struct open_how of linux/openat2.h, and the call by its number: older headers have neither.
  struct { uint64_t flags, mode, resolve; } how = {
      (uint64_t)(uint32_t)(flags | O_CLOEXEC), mode, resolve};
  long result;
  // A rename elsewhere may have the kernel unsure whether the path has left the folder.
  for (int tries = 0; tries < 8; tries++) {
    result = syscall(437 /* openat2 */, folder, path, &how, sizeof how);
    if (result >= 0 || errno != EAGAIN) break;
  }
  return result < 0 ? -(int64_t)errno : result;
}

int64_t martlet_open_folder(const char *path) {
  MARTLET_RESULT(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

enum { resolve_error_base = -1000 };

int64_t martlet_resolve(const char *name, uint16_t port, martlet_address *to, size_t capacity) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  char service[8];
  snprintf(service, sizeof service, "%u", port);
  int failure = getaddrinfo(name, service, &hints, &found);
  if (failure != 0) return resolve_error_base + failure;
  size_t count = 0;
  for (struct addrinfo *each = found; each && count < capacity; each = each->ai_next) {
    if (each->ai_addrlen > sizeof to[count].storage) continue;
    memset(&to[count], 0, sizeof to[count]);
    memcpy(&to[count].storage, each->ai_addr, each->ai_addrlen);
    to[count].length = each->ai_addrlen;
    count++;
  }
  freeaddrinfo(found);
  return (int64_t)count;
}

const char *martlet_resolve_message(int64_t result) {
  return gai_strerror((int)(result - resolve_error_base));
}

typedef struct {
  void (*body)(void *);
  void *context;
} thread_start;

static void *run_thread(void *argument) {
  thread_start start = *(thread_start *)argument;
  free(argument);
  start.body(start.context);
  return NULL;
}

int64_t martlet_start_thread(void (*body)(void *), void *context, size_t stack_bytes) {
  thread_start *start = malloc(sizeof *start);
  if (!start) return -ENOMEM;
  *start = (thread_start){body, context};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (stack_bytes > 0) pthread_attr_setstacksize(&attributes, stack_bytes);
  pthread_t thread;
  int failure = pthread_create(&thread, &attributes, run_thread, start);
  pthread_attr_destroy(&attributes);
  if (failure) free(start);
  return -(int64_t)failure;
}

void martlet_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Sleeps while the word is `expected`, until a moment of the clock that never goes back (-1: for ever).
int64_t martlet_futex_wait(const void *word, uint32_t expected, int64_t until_ns) {
  struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
  // FUTEX_WAIT_BITSET takes a moment, FUTEX_WAIT a duration that a signal would make longer.
  MARTLET_RESULT(
      syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
              until_ns < 0 ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY));
}

int64_t martlet_futex_wake(const void *word, int count) {
  MARTLET_RESULT(syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count));
}

// Two ends between which messages pass whole; they wait where they cannot go on at once.
int64_t martlet_message_pair(int ends[2]) {
  MARTLET_RESULT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
}

// A file without a name in a folder, for its owner alone.
int64_t martlet_unnamed_file(const char *folder) {
  MARTLET_RESULT(open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

int64_t martlet_spawn_piped(
    const char *path, char *const arguments[], char *const environment[], const char *folder,
    int32_t input, int32_t output, int32_t error) {
  int32_t ends[3] = {input, output, error};
  int copies[3] = {-1, -1, -1};
  int64_t result = 0;
  // Beyond their targets, so that none of them takes another's place.
  for (int i = 0; i < 3; i++) {
    copies[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
    int flags = copies[i] < 0 ? -1 : fcntl(copies[i], F_GETFL);
    // Programs expect that reading and writing wait.
    if (flags < 0 || fcntl(copies[i], F_SETFL, flags & ~O_NONBLOCK) < 0) result = -errno;
  }
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  for (int i = 0; i < 3; i++) posix_spawn_file_actions_adddup2(&actions, copies[i], i);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawn_file_actions_addchdir_np(&actions, folder);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  if (result == 0) {
    pid_t child = 0;
    int failure = posix_spawn(&child, path, &actions, &attributes, arguments, environment);
    result = failure ? -(int64_t)failure : child;
  }
  for (int i = 0; i < 3; i++) if (copies[i] >= 0) close(copies[i]);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return result;
}

int64_t martlet_limit(int pid, uint64_t seconds, uint64_t bytes) {
  // A second more, after which it is killed where it ignores that it is asked to end.
  struct rlimit time = {seconds, seconds + 1}, memory = {bytes, bytes}, cores = {0, 0};
  if (seconds > 0 && prlimit(pid, RLIMIT_CPU, &time, NULL) < 0) return -errno;
  if (bytes > 0 && prlimit(pid, RLIMIT_AS, &memory, NULL) < 0) return -errno;
  return prlimit(pid, RLIMIT_CORE, &cores, NULL) < 0 ? -errno : 0;
}

int64_t martlet_execute(const char *path, char *const arguments[], char *const environment[]) {
  execve(path, arguments, environment);
  return -errno;
}

char **martlet_environment(void) { return environ; }

int64_t martlet_find_user(const char *name, uint32_t *user, uint32_t *group) {
  struct passwd entry, *found = NULL;
  char text[4096];
  int failure = getpwnam_r(name, &entry, text, sizeof text, &found);
  if (failure) return -failure;
  if (!found) return -ENOENT;
  *user = found->pw_uid;
  *group = found->pw_gid;
  return 0;
}

int64_t martlet_find_group(const char *name, uint32_t *group) {
  struct group entry, *found = NULL;
  char text[4096];
  int failure = getgrnam_r(name, &entry, text, sizeof text, &found);
  if (failure) return -failure;
  if (!found) return -ENOENT;
  *group = found->gr_gid;
  return 0;
}

int64_t martlet_become(uint32_t user, uint32_t group) {
  if (setgroups(0, NULL) < 0) return -errno;
  if (setresgid(group, group, group) < 0) return -errno;
  if (setresuid(user, user, user) < 0) return -errno;
  // A process that could take its rights back has not given them up.
  if (user != 0 && setresuid(0, 0, 0) == 0) return -EPERM;
  return 0;
}

int64_t martlet_available_processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) < 0) return -errno;
  return CPU_COUNT(&set);
}

int64_t martlet_forbid_dumps(void) { MARTLET_RESULT(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)); }

// Overwrites bytes, which no compiler may leave out.
void martlet_forget(const void *bytes, size_t count) {
  if (count > 0) explicit_bzero((void *)bytes, count);
}
