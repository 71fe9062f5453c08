public import MartletSystem

/// An application that is to be run.
public struct ApplicationDemand: Hashable, Sendable {
  /// The name by which the edge knows it.
  public var name: String
  /// What is started for each of its processes.
  ///
  /// It finds at descriptor 3 where it says how it is, at 4 where it prints, at 5 where requests come
  /// from, at 6 the file ``script``, and from 7 on where the answers to each loop go.
  public var program: Program
  /// What stands in the file that each process is given.
  public var script: [UInt8]
  /// How many processes run it.
  public var processCount: Int
  /// How many loops the edge has.
  public var loopCount: Int

  /// Creates a demand.
  public init(
    name: String,
    program: Program,
    script: [UInt8],
    processCount: Int,
    loopCount: Int
  ) {
    self.name = name
    self.program = program
    self.script = script
    self.processCount = processCount
    self.loopCount = loopCount
  }
}
