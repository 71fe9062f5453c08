public import MartletSystem

/// A process that runs an application, as the edge sees it.
public final class ApplicationProcess: Sendable {
  /// The process' number.
  public let number: Int32
  /// Takes requests.
  public let requests: OpenFile
  /// What it prints.
  public let output: OpenFile
  /// Where the answers to each loop come from.
  public let answers: [OpenFile]

  /// Takes over the descriptors that a supervisor has handed over: requests, output, answers.
  ///
  /// - Throws: ``SystemError`` when they cannot be set up.
  public init(number: Int32, files: [OpenFile]) throws(SystemError) {
    precondition(files.count > 2, "a process has requests, output and answers")
    self.number = number
    requests = files[0]
    output = files[1]
    answers = Array(files[2...])
    for file in files { try file.descriptor.setNonblocking() }
  }
}
