// Invariant of this file: a page that a place refers to is retained once by it and used by nobody.
// Whoever exchanges the reference for nil has that page alone, and sees all that was done to it.

import Synchronization

/// A buffer that goes back and forth between a loop and the writer.
@usableFromInline
final class LogPage {
  @usableFromInline var text = TextBuffer(capacity: 0)

  init() {}
}

// A reference that is exchanged as a whole; the compiler cannot know that the page goes with it.
/// Where one side lays down a page, and the other takes it up.
@safe
private struct PagePlace: ~Copyable, @unchecked Sendable {
  private let page: Atomic<Unmanaged<LogPage>?>

  init(_ page: LogPage?) {
    unsafe self.page = Atomic(page.map { unsafe Unmanaged.passRetained($0) })
  }

  deinit { _ = take() }

  func take() -> LogPage? { unsafe page.exchange(nil, ordering: .acquiring)?.takeRetainedValue() }

  func put(_ next: LogPage) {
    let old = unsafe page.exchange(Unmanaged.passRetained(next), ordering: .releasing)
    precondition(unsafe old == nil, "there are two pages, and both are accounted for")
  }
}

/// The way between a loop and the writer's thread, with room for one full buffer.
///
/// One thread is the loop and one the writer; neither ever waits for the other.
public final class LogLane: Sendable {
  // The page that the loop may have, while the writer has none.
  private let spare = PagePlace(LogPage())
  // The page that the writer may take.
  private let full = PagePlace(nil)

  init() {}

  func takeSpare() -> LogPage? { spare.take() }

  func putFull(_ page: LogPage) { full.put(page) }

  /// Gives the lines that the loop handed over to `write`, and then the buffer back to the loop.
  ///
  /// While `write` runs, the loop fills its other buffer. To be called by one thread at a time.
  ///
  /// - Returns: What `write` returns, or nil if there was nothing to write.
  public func take<Result>(_ write: (borrowing TextBuffer) -> Result) -> Result? {
    guard let page = full.take() else { return nil }
    let result = write(page.text)
    page.text.truncate(to: 0)
    spare.put(page)
    return result
  }
}
