import Glibc

// Safe: written by one signal handler and read by the one thread there is; a word is never torn.
nonisolated(unsafe) private var stopping: sig_atomic_t = 0

/// Lets SIGTERM end the run early: nothing new is asked, and what is under way is answered.
func stopOnSignal() {
  signal(SIGTERM) { _ in stopping = 1 }
}

/// Whether the signal has come.
func isAskedToStop() -> Bool { stopping != 0 }
