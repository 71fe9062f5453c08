import CLinux

// Invariant of this file: what a key has on a thread is nil or one retained box, which that thread alone uses and which
// is released once: when another takes its place, or when the thread ends.

// @unchecked: the key is constant, and each thread reaches its own value alone.
/// A value that each thread has for itself.
///
/// It is made when a thread first asks for it, and let go when the thread ends. A coroutine of a loop stays on its
/// thread, but others run there between two of its waits: what belongs to a request is a task-local value
/// (`@TaskLocal`), and what belongs to a loop a `LoopLocal`.
@safe
public final class ThreadLocal<Value>: @unchecked Sendable {
  private final class Box {
    var value: Value
    init(_ value: Value) { self.value = value }
  }

  private var key = pthread_key_t()
  private let make: @Sendable () -> Value

  /// Creates a value that `make` makes for each thread.
  ///
  /// A process has 1024 of them at most, those of its libraries included: one more stops the program.
  public init(_ make: @escaping @Sendable () -> Value) {
    self.make = make
    // Safe: the destructor is called with what the key has, on the thread that ends.
    let result = unsafe pthread_key_create(&key) { box in
      guard let box = unsafe box else { return }
      unsafe Unmanaged<AnyObject>.fromOpaque(box).release()
    }
    precondition(result == 0, "no more values of threads are to be had")
  }

  /// Only the calling thread's value is let go; those of others stay until their threads end.
  deinit {
    if let pointer = unsafe pthread_getspecific(key) {
      unsafe Unmanaged<Box>.fromOpaque(pointer).release()
    }
    pthread_key_delete(key)
  }

  private var box: Box {
    if let pointer = unsafe pthread_getspecific(key) {
      // Safe: this key has boxes of this type alone.
      return unsafe Unmanaged<Box>.fromOpaque(pointer).takeUnretainedValue()
    }
    let box = Box(make())
    unsafe pthread_setspecific(key, Unmanaged.passRetained(box).toOpaque())
    return box
  }

  /// The calling thread's value.
  public var value: Value {
    get { box.value }
    set { box.value = newValue }
  }

  /// Does something with the calling thread's value.
  public func withValue<Result, Failure>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result { try body(&box.value) }
}
