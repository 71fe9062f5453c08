#define _GNU_SOURCE
#include "CLinux.h"
#include <grp.h>
#include <linux/futex.h>
#include <sys/file.h>

// Starting -------------------------------------------------------------------------------------

typedef struct {
  const char *path;
  char *const *arguments;
  char *const *environment;
  const martlet_start *plan;
  int32_t standard[3];
  int32_t descriptors[martlet_descriptors_at_once];
  pid_t parent;
  // Written by the child in memory that both have.
  volatile int step;
  volatile int failure;
} start_work;

// Runs in the child, in the memory of its parent: only calls of the kernel, and no library lock.
static void __attribute__((noreturn, noinline)) run_child(start_work *work) {
  const martlet_start *plan = work->plan;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  for (int signal = 1; signal < 65; signal++) {
    struct sigaction present;
    if (sigaction(signal, NULL, &present) == 0 && present.sa_handler != SIG_DFL) {
      sigaction(signal, &action, NULL);
    }
  }
  work->step = martlet_step_fork;
  if (plan->has_own_session ? setsid() < 0 : plan->has_own_group && setpgid(0, 0) < 0) goto failed;
  work->step = martlet_step_folder;
  if (plan->folder && chdir(plan->folder) < 0) goto failed;
  work->step = martlet_step_fork;
  for (int i = 0; i < 3; i++) {
    if (work->standard[i] >= 0 && dup2(work->standard[i], i) < 0) goto failed;
  }
  for (size_t i = 0; i < plan->descriptor_count; i++) {
    if (dup2(work->descriptors[i], (int)(3 + i)) < 0) goto failed;
  }
  if (syscall(SYS_close_range, 3 + plan->descriptor_count, ~0u, 0) < 0) goto failed;
  work->step = martlet_step_limit;
  for (size_t i = 0; i < plan->limit_count; i++) {
    struct rlimit limit = {plan->limits[i].soft, plan->limits[i].hard};
    if (setrlimit((__rlimit_resource_t)plan->limits[i].kind, &limit) < 0) goto failed;
  }
  work->step = martlet_step_user;
  if (plan->has_user) {
    // By number: the library's own would have all threads of the parent change their user.
    if (syscall(SYS_setgroups, 0, NULL) < 0) goto failed;
    if (syscall(SYS_setresgid, plan->group, plan->group, plan->group) < 0) goto failed;
    if (syscall(SYS_setresuid, plan->user, plan->user, plan->user) < 0) goto failed;
  }
  work->step = martlet_step_fork;
  // Behind the change of the user, which takes this back.
  if (plan->ends_with_parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) goto failed;
    if (syscall(SYS_getppid) != work->parent) _exit(127);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  work->step = martlet_step_execute;
  execve(work->path, work->arguments, work->environment);
failed:
  work->failure = errno;
  _exit(127);
}

int64_t martlet_start_program(
    const char *path, char *const arguments[], char *const environment[], const martlet_start *plan,
    int *step) {
  if (plan->descriptor_count > martlet_descriptors_at_once) return -EINVAL;
  start_work work = {
      .path = path, .arguments = arguments, .environment = environment, .plan = plan,
      .standard = {-1, -1, -1}, .parent = getpid()};
  *step = martlet_step_fork;
  int64_t result = 0;
  // Numbers are moved out of the way of their targets first, and no further: where a process may have few
  // descriptors, higher numbers do not exist.
  int lowest = (int)(3 + plan->descriptor_count);
  size_t moved = 0;
  for (; moved < plan->descriptor_count; moved++) {
    work.descriptors[moved] = fcntl(plan->descriptors[moved], F_DUPFD_CLOEXEC, lowest);
    if (work.descriptors[moved] < 0) {
      result = -errno;
      break;
    }
  }
  for (int i = 0; i < 3 && result == 0; i++) {
    int from = plan->standard[i];
    if (from == -1) continue;
    int nowhere = from == -2 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    work.standard[i] = fcntl(from == -2 ? nowhere : from, F_DUPFD_CLOEXEC, lowest);
    if (work.standard[i] < 0) result = -errno;
    if (nowhere >= 0) close(nowhere);
  }
  if (result == 0) {
    // A handler that ran in the child would run in the memory of this process.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t child = vfork();
    if (child == 0) run_child(&work);
    int failure = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child < 0) {
      result = -failure;
    } else if (work.failure) {
      *step = work.step;
      result = -work.failure;
      waitpid(child, NULL, 0);
    } else {
      result = child;
    }
  }
  for (size_t i = 0; i < moved; i++) close(work.descriptors[i]);
  for (int i = 0; i < 3; i++) if (work.standard[i] >= 0) close(work.standard[i]);
  return result;
}

int64_t martlet_set_limit(int32_t kind, uint64_t soft, uint64_t hard) {
  struct rlimit limit = {soft, hard};
  MARTLET_RESULT(setrlimit((__rlimit_resource_t)kind, &limit));
}

int64_t martlet_kill_with_parent(void) { MARTLET_RESULT(prctl(PR_SET_PDEATHSIG, SIGKILL)); }
int32_t martlet_parent(void) { return getppid(); }
int64_t martlet_adopt_orphans(void) { MARTLET_RESULT(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)); }

int64_t martlet_reap_any(int *status) {
  pid_t ended = waitpid(-1, status, WNOHANG);
  if (ended < 0) return -errno;
  return ended == 0 ? -EAGAIN : ended;
}

int64_t martlet_peak_memory(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) < 0 ? -errno : usage.ru_maxrss;
}

// Messages -------------------------------------------------------------------------------------

typedef union {
  char bytes[CMSG_SPACE(sizeof(int32_t)) + CMSG_SPACE(sizeof(struct ucred))];
  struct cmsghdr aligned;
} message_control;

int64_t martlet_send_message(
    int fd, const void *bytes, size_t count, int32_t descriptor, int tells) {
  message_control control;
  struct iovec part = {(void *)bytes, count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor >= 0 || tells) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    size_t used = 0;
    if (descriptor >= 0) {
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof descriptor);
      memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
      used += CMSG_SPACE(sizeof descriptor);
      header = CMSG_NXTHDR(&message, header);
    }
    if (tells) {
      struct ucred own = {getpid(), geteuid(), getegid()};
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_CREDENTIALS;
      header->cmsg_len = CMSG_LEN(sizeof own);
      memcpy(CMSG_DATA(header), &own, sizeof own);
      used += CMSG_SPACE(sizeof own);
    }
    message.msg_controllen = used;
  }
  MARTLET_RESULT(sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

int64_t martlet_take_message(
    int fd, void *bytes, size_t count, int waits, int32_t *descriptor, int32_t *process,
    uint32_t *user, int *truncated) {
  message_control control;
  struct iovec part = {bytes, count};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
      .msg_controllen = sizeof control.bytes};
  *descriptor = -1;
  *process = -1;
  *user = ~0u;
  *truncated = 0;
  ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | (waits ? 0 : MSG_DONTWAIT));
  if (received < 0) return -errno;
  *truncated = (message.msg_flags & MSG_TRUNC) != 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_RIGHTS) {
      size_t held = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int32_t);
      for (size_t i = 0; i < held; i++) {
        int32_t number;
        memcpy(&number, CMSG_DATA(header) + i * sizeof number, sizeof number);
        if (*descriptor < 0) *descriptor = number;
        else close(number);
      }
    } else if (header->cmsg_type == SCM_CREDENTIALS) {
      struct ucred sender;
      memcpy(&sender, CMSG_DATA(header), sizeof sender);
      *process = sender.pid;
      *user = sender.uid;
    }
  }
  return received;
}

int64_t martlet_tell_senders(int fd) {
  int yes = 1;
  MARTLET_RESULT(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes));
}

int64_t martlet_queue_open(
    const char *name, int access, int creates, unsigned mode, long count, long size) {
  struct mq_attr wish = {.mq_maxmsg = count, .mq_msgsize = size};
  int flags = (access == 0 ? O_RDONLY : access == 1 ? O_WRONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
  if (!creates) {
    MARTLET_RESULT((int)mq_open(name, flags));
  }
  MARTLET_RESULT((int)mq_open(name, flags | O_CREAT | (creates == 2 ? O_EXCL : 0), mode, &wish));
}
int64_t martlet_queue_unlink(const char *name) { MARTLET_RESULT(mq_unlink(name)); }
int64_t martlet_queue_send(int fd, const void *bytes, size_t count, unsigned priority) {
  MARTLET_RESULT(mq_send(fd, bytes, count, priority));
}
int64_t martlet_queue_receive(int fd, void *bytes, size_t count, unsigned *priority) {
  MARTLET_RESULT(mq_receive(fd, bytes, count, priority));
}
int64_t martlet_queue_facts(int fd, int64_t *capacity, int64_t *message_bytes, int64_t *present) {
  struct mq_attr facts;
  if (mq_getattr(fd, &facts) < 0) return -errno;
  *capacity = facts.mq_maxmsg;
  *message_bytes = facts.mq_msgsize;
  *present = facts.mq_curmsgs;
  return 0;
}

int64_t martlet_make_pipe(const char *path, unsigned mode) { MARTLET_RESULT(mkfifo(path, mode)); }

int64_t martlet_lock_part(int fd, int kind, int waits, int64_t start, int64_t count) {
  // Of the open file, not of the process: closing another descriptor of the file does not let go of it.
  struct flock lock = {
      .l_type = kind == 0 ? F_UNLCK : kind == 1 ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET,
      .l_start = start, .l_len = count};
  int result = fcntl(fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
  if (result < 0) return errno == EACCES ? -EAGAIN : -errno;
  return 0;
}

// Shared memory --------------------------------------------------------------------------------

int64_t martlet_shared_open(const char *name, int creates, unsigned mode, int64_t bytes) {
  int fd = shm_open(name, O_RDWR | O_CLOEXEC | (creates ? O_CREAT | O_EXCL : 0), mode);
  if (fd < 0) return -errno;
  if (creates && ftruncate(fd, bytes) < 0) {
    int64_t failure = -errno;
    close(fd);
    shm_unlink(name);
    return failure;
  }
  return fd;
}
int64_t martlet_shared_unlink(const char *name) { MARTLET_RESULT(shm_unlink(name)); }

void *martlet_map_shared(int fd, size_t bytes, int writes, int64_t *failure) {
  void *pages = mmap(NULL, bytes, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
  *failure = pages == MAP_FAILED ? -errno : 0;
  return pages == MAP_FAILED ? NULL : pages;
}

size_t martlet_shared_lock_bytes(void) { return sizeof(pthread_mutex_t); }

int64_t martlet_shared_lock_initialize(void *lock) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  // A thread that takes it twice is told so instead of standing still.
  pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
  int failure = pthread_mutex_init(lock, &kind);
  pthread_mutexattr_destroy(&kind);
  return -(int64_t)failure;
}

int64_t martlet_shared_lock_take(void *lock, int64_t until_ns, int tries) {
  struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
  int result = tries ? pthread_mutex_trylock(lock)
               : until_ns < 0
                   ? pthread_mutex_lock(lock)
                   : pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until);
  if (result == EOWNERDEAD) {
    result = pthread_mutex_consistent(lock);
    return result ? -(int64_t)result : 1;
  }
  return -(int64_t)result;
}

int64_t martlet_shared_lock_release(void *lock) { return -(int64_t)pthread_mutex_unlock(lock); }

int64_t martlet_shared_sleep(const void *word, uint32_t expected, int64_t until_ns) {
  struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
  MARTLET_RESULT(syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, until_ns < 0 ? NULL : &until,
                         NULL, FUTEX_BITSET_MATCH_ANY));
}

int64_t martlet_shared_wake(const void *word, int count) {
  MARTLET_RESULT(syscall(SYS_futex, word, FUTEX_WAKE, count));
}
