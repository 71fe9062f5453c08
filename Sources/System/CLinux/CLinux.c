#define _GNU_SOURCE
#include "CLinux.h"
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

int64_t martlet_spawn(
    const char *path, char *const arguments[], char *const environment[],
    const int32_t *descriptors, size_t descriptor_count, int discards_output, int has_own_group) {
  if (descriptor_count > martlet_descriptors_at_once) return -EINVAL;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  // The numbers are moved out of the way of their targets first, and no further: where a process may
  // have few descriptors, higher numbers do not exist.
  int32_t moved[martlet_descriptors_at_once];
  size_t moved_count = 0;
  int64_t result = 0;
  for (; moved_count < descriptor_count; moved_count++) {
    int copy = fcntl(descriptors[moved_count], F_DUPFD_CLOEXEC, (int)(3 + descriptor_count));
    if (copy < 0) {
      result = -errno;
      break;
    }
    moved[moved_count] = copy;
    posix_spawn_file_actions_adddup2(&actions, copy, (int)(3 + moved_count));
  }
  if (discards_output) {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  }
  posix_spawn_file_actions_addclosefrom_np(&actions, (int)(3 + descriptor_count));
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (has_own_group) flags |= POSIX_SPAWN_SETPGROUP;
  posix_spawnattr_setflags(&attributes, flags);
  if (result == 0) {
    pid_t child = 0;
    int failure = posix_spawn(&child, path, &actions, &attributes, arguments, environment);
    result = failure ? -(int64_t)failure : child;
  }
  for (size_t i = 0; i < moved_count; i++) close(moved[i]);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return result;
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
