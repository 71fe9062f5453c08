// Processes, and what runs between them: shims as in CLinux.h, which includes this file.
#pragma once
#include <mqueue.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>

// Starting -------------------------------------------------------------------------------------

typedef struct { int32_t kind; uint64_t soft, hard; } martlet_resource_limit;

// How a program is started. Numbers of descriptors: -1 is this process' own, -2 is /dev/null.
typedef struct {
  const char *folder;  // NULL: that of this process
  int32_t standard[3];
  const int32_t *descriptors;  // its numbers from 3 on; all others are closed
  size_t descriptor_count;
  int has_own_group, has_own_session, ends_with_parent, has_user;
  uint32_t user, group;
  const martlet_resource_limit *limits;
  size_t limit_count;
} martlet_start;

// The steps of a start, of which the last one is told.
enum { martlet_step_fork, martlet_step_folder, martlet_step_limit, martlet_step_user, martlet_step_execute };

// Starts a program, whose signals are neither blocked nor ignored; returns its number. No memory is copied:
// the child borrows that of this process until it executes the program.
int64_t martlet_start_program(
    const char *path, char *const arguments[], char *const environment[], const martlet_start *plan,
    int *step);

static const int32_t martlet_limit_processor = RLIMIT_CPU;
static const int32_t martlet_limit_memory = RLIMIT_DATA;
static const int32_t martlet_limit_addresses = RLIMIT_AS;
static const int32_t martlet_limit_descriptors = RLIMIT_NOFILE;
static const int32_t martlet_limit_file = RLIMIT_FSIZE;
static const int32_t martlet_limit_core = RLIMIT_CORE;
static const int32_t martlet_limit_processes = 6;  // RLIMIT_NPROC

int64_t martlet_set_limit(int32_t kind, uint64_t soft, uint64_t hard);
// The kernel ends this process by SIGKILL when the thread that started it ends.
int64_t martlet_kill_with_parent(void);
int32_t martlet_parent(void);
// Children of children that lose their parent become children of this process.
int64_t martlet_adopt_orphans(void);
// The number of any child that has ended, with how in `status`; -EAGAIN while none has, -ECHILD without any.
int64_t martlet_reap_any(int *status);
// The most memory that this process has had, in KiB.
int64_t martlet_peak_memory(void);

// Messages -------------------------------------------------------------------------------------

// A message with at most one descriptor (-1: none), without waiting; with `tells`, also who sends it.
int64_t martlet_send_message(int fd, const void *bytes, size_t count, int32_t descriptor, int tells);
// Takes a message; `flags` of recvmsg(2). `process` is -1 where it is not told who sent it.
int64_t martlet_take_message(
    int fd, void *bytes, size_t count, int waits, int32_t *descriptor, int32_t *process,
    uint32_t *user, int *truncated);
int64_t martlet_tell_senders(int fd);

int64_t martlet_queue_open(const char *name, int access, int creates, unsigned mode, long count, long size);
int64_t martlet_queue_unlink(const char *name);
int64_t martlet_queue_send(int fd, const void *bytes, size_t count, unsigned priority);
int64_t martlet_queue_receive(int fd, void *bytes, size_t count, unsigned *priority);
int64_t martlet_queue_facts(int fd, int64_t *capacity, int64_t *message_bytes, int64_t *present);

int64_t martlet_make_pipe(const char *path, unsigned mode);

// Locks of a part of an open file; `kind` 0: none, 1: shared, 2: exclusive. -EAGAIN: another has it.
int64_t martlet_lock_part(int fd, int kind, int waits, int64_t start, int64_t count);

// Shared memory --------------------------------------------------------------------------------

int64_t martlet_shared_open(const char *name, int creates, unsigned mode, int64_t bytes);
int64_t martlet_shared_unlink(const char *name);
void *martlet_map_shared(int fd, size_t bytes, int writes, int64_t *failure);

// A lock in shared memory; all its functions take a place that was initialised once.
size_t martlet_shared_lock_bytes(void);
int64_t martlet_shared_lock_initialize(void *lock);
// 0: taken; 1: taken from one who has died; -ETIMEDOUT, -EBUSY.
int64_t martlet_shared_lock_take(void *lock, int64_t until_ns, int tries);
int64_t martlet_shared_lock_release(void *lock);

// Sleeps on a word that other processes see, too.
int64_t martlet_shared_sleep(const void *word, uint32_t expected, int64_t until_ns);
int64_t martlet_shared_wake(const void *word, int count);
