#define _GNU_SOURCE
#include "CLinux.h"
#include <linux/io_uring.h>
#include <linux/time_types.h>

// Invariant of this file: a ring is used by one thread at a time. The kernel's half of a queue is read
// with acquire and our half is written with release, as io_uring(7) asks.

struct martlet_ring {
  int fd;
  void *rings, *entries;
  size_t rings_bytes, entries_bytes;
  uint32_t *submit_head, *submit_tail, *submit_flags, *complete_head, *complete_tail;
  uint32_t submit_mask, submit_count, complete_mask;
  // What is written and not yet shown to the kernel.
  uint32_t pending;
  struct io_uring_sqe *submissions;
  struct io_uring_cqe *completions;
};

static int setup(uint32_t entries, struct io_uring_params *parameters) {
  // Completions are made whenever this thread calls the kernel. Were they made by the wait alone
  // (IORING_SETUP_DEFER_TASKRUN), a wait would make twenty at most.
  static const uint32_t flags[] = {
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL, 0};
  int result = -1;
  for (size_t index = 0; index < sizeof flags / sizeof *flags; index++) {
    *parameters = (struct io_uring_params){
        .flags = flags[index] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP, .cq_entries = entries * 8};
    result = (int)syscall(SYS_io_uring_setup, entries, parameters);
    if (result >= 0 || errno != EINVAL) break;
  }
  return result;
}

int64_t martlet_ring_open(uint32_t entries, martlet_ring **result) {
  struct io_uring_params p;
  int fd = setup(entries, &p);
  if (fd < 0) return -errno;
  // One mapping for both queues, waits with a limit, and no completion that is lost: Linux 5.11.
  uint32_t needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
  martlet_ring *ring = (p.features & needed) == needed ? calloc(1, sizeof *ring) : NULL;
  if (!ring) {
    close(fd);
    return (p.features & needed) == needed ? -ENOMEM : -ENOSYS;
  }
  size_t submit_bytes = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
  size_t complete_bytes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
  ring->fd = fd;
  ring->rings_bytes = submit_bytes > complete_bytes ? submit_bytes : complete_bytes;
  ring->entries_bytes = p.sq_entries * sizeof(struct io_uring_sqe);
  int access = PROT_READ | PROT_WRITE, kind = MAP_SHARED | MAP_POPULATE;
  ring->rings = mmap(NULL, ring->rings_bytes, access, kind, fd, IORING_OFF_SQ_RING);
  ring->entries = mmap(NULL, ring->entries_bytes, access, kind, fd, IORING_OFF_SQES);
  if (ring->rings == MAP_FAILED || ring->entries == MAP_FAILED) {
    int error = errno;
    martlet_ring_close(ring);
    return -error;
  }
  char *base = ring->rings;
  ring->submit_head = (uint32_t *)(base + p.sq_off.head);
  ring->submit_tail = (uint32_t *)(base + p.sq_off.tail);
  ring->submit_flags = (uint32_t *)(base + p.sq_off.flags);
  ring->submit_mask = *(uint32_t *)(base + p.sq_off.ring_mask);
  ring->submit_count = p.sq_entries;
  ring->complete_head = (uint32_t *)(base + p.cq_off.head);
  ring->complete_tail = (uint32_t *)(base + p.cq_off.tail);
  ring->complete_mask = *(uint32_t *)(base + p.cq_off.ring_mask);
  ring->submissions = ring->entries;
  ring->completions = (struct io_uring_cqe *)(base + p.cq_off.cqes);
  uint32_t *array = (uint32_t *)(base + p.sq_off.array);
  for (uint32_t index = 0; index < p.sq_entries; index++) array[index] = index;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  *result = ring;
  return 0;
}

void martlet_ring_close(martlet_ring *ring) {
  if (ring->rings && ring->rings != MAP_FAILED) munmap(ring->rings, ring->rings_bytes);
  if (ring->entries && ring->entries != MAP_FAILED) munmap(ring->entries, ring->entries_bytes);
  close(ring->fd);
  free(ring);
}

static int64_t enter(
    martlet_ring *ring, uint32_t complete, uint32_t flags, const struct __kernel_timespec *time) {
  struct io_uring_getevents_arg argument = {.ts = (uint64_t)(uintptr_t)time};
  if (time) flags |= IORING_ENTER_EXT_ARG;
  int64_t result = syscall(
      SYS_io_uring_enter, ring->fd, ring->pending, complete, flags, time ? (void *)&argument : NULL,
      time ? sizeof argument : 0);
  if (result < 0) return -errno;
  ring->pending -= (uint32_t)result;
  return result;
}

// The next free submission; a full queue is handed to the kernel first.
static struct io_uring_sqe *next(martlet_ring *ring) {
  uint32_t tail = *ring->submit_tail;
  if (tail - __atomic_load_n(ring->submit_head, __ATOMIC_ACQUIRE) == ring->submit_count) {
    if (enter(ring, 0, 0, NULL) < 0) return NULL;
    if (tail - __atomic_load_n(ring->submit_head, __ATOMIC_ACQUIRE) == ring->submit_count)
      return NULL;
  }
  struct io_uring_sqe *entry = &ring->submissions[tail & ring->submit_mask];
  memset(entry, 0, sizeof *entry);
  return entry;
}

static void publish(martlet_ring *ring) {
  __atomic_store_n(ring->submit_tail, *ring->submit_tail + 1, __ATOMIC_RELEASE);
  ring->pending++;
}

int64_t martlet_ring_poll(martlet_ring *ring, int fd, uint32_t events, int repeats, uint64_t data) {
  struct io_uring_sqe *entry = next(ring);
  if (!entry) return -EBUSY;
  entry->opcode = IORING_OP_POLL_ADD;
  entry->fd = fd;
  entry->poll32_events = events;
  entry->len = repeats ? IORING_POLL_ADD_MULTI : 0;
  entry->user_data = data;
  publish(ring);
  return 0;
}

int64_t martlet_ring_end_poll(martlet_ring *ring, uint64_t data, uint64_t answer) {
  struct io_uring_sqe *entry = next(ring);
  if (!entry) return -EBUSY;
  entry->opcode = IORING_OP_POLL_REMOVE;
  entry->fd = -1;
  entry->addr = data;
  entry->user_data = answer;
  publish(ring);
  return 0;
}

int64_t martlet_ring_enter(martlet_ring *ring, int milliseconds) {
  struct __kernel_timespec time = {
      .tv_sec = milliseconds / 1000, .tv_nsec = (milliseconds % 1000) * 1000000L};
  int64_t result = enter(
      ring, milliseconds != 0, IORING_ENTER_GETEVENTS, milliseconds > 0 ? &time : NULL);
  // The time has passed, or there was a signal: neither is an error of a wait.
  return result == -ETIME || result == -EINTR ? 0 : result;
}

int martlet_ring_take(martlet_ring *ring, uint64_t *data, int32_t *result, int *repeats) {
  uint32_t head = *ring->complete_head;
  if (head == __atomic_load_n(ring->complete_tail, __ATOMIC_ACQUIRE)) return 0;
  const struct io_uring_cqe *entry = &ring->completions[head & ring->complete_mask];
  *data = entry->user_data;
  *result = entry->res;
  *repeats = (entry->flags & IORING_CQE_F_MORE) != 0;
  __atomic_store_n(ring->complete_head, head + 1, __ATOMIC_RELEASE);
  return 1;
}
