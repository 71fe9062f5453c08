

# How long threads wait for the interpreter's lock: this file goes on where worker.py ends.

# How often it is looked, and after how many looks the edge is told.
LOOK_SECONDS = 0.05
LOOKS = 20
# With less of a processor than this the process is idle, and nobody looks until a request comes.
IDLE_SHARE = 0.01
# Threads of this program that sleep but for moments.
OWN_THREADS = ("lock", "turns")


class LockWatch:
    """Measures how long a thread that could run waits for the interpreter's lock.

    A thread sleeps a little, again and again, and looks how late it runs: less the time for which it
    waited for a processor, as the kernel says, and less what such a sleep is late by itself.
    """

    def __init__(self, channel):
        self.channel = channel
        self.is_asleep = False
        self.alarm = threading.Semaphore(0)
        self.usual = 0.0

    def start(self):
        """Begins, if the interpreter has such a lock and the kernel tells of processors."""
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            return
        try:
            self.open()
        except OSError:
            return
        # Nobody else runs yet.
        self.usual = min(self.lateness(0.001) for _ in range(5))
        os.close(self.delays)
        threading.Thread(target=self.run, name="lock", daemon=True).start()

    def open(self):
        """Opens what the kernel tells of the calling thread."""
        self.delays = os.open("/proc/thread-self/schedstat", os.O_RDONLY)

    def delay(self):
        """For how long the calling thread has waited for a processor so far, in seconds."""
        return int(os.pread(self.delays, 64, 0).split()[1]) * 1e-9

    def lateness(self, seconds):
        delay, begun = self.delay(), perf_counter()
        time.sleep(seconds)
        late = perf_counter() - begun - seconds
        return max(0.0, late - (self.delay() - delay) - self.usual)

    def wake(self):
        self.is_asleep = False
        self.alarm.release()

    def run(self):
        self.open()
        count, total = 0, 0.0
        while True:
            used = time.process_time()
            for _ in range(LOOKS):
                # Where there is one thread, there is nobody who could wait.
                if sum(thread.name not in OWN_THREADS for thread in threading.enumerate()) > 1:
                    total += self.lateness(LOOK_SECONDS)
                    count += 1
                else:
                    time.sleep(LOOK_SECONDS)
            if count:
                message = ANSWER.pack(LOCK, 0, 0, 0, 0, count, min(int(total * 1e6), 0xFFFFFFFF))
                try:
                    self.channel.socket.send(message)
                    count, total = 0, 0.0
                except BlockingIOError:
                    pass
                except OSError:
                    return
            if time.process_time() - used < IDLE_SHARE * LOOKS * LOOK_SECONDS:
                self.is_asleep = True
                self.alarm.acquire()
