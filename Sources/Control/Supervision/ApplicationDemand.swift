public import MartletSystem

/// An application that is to be run.
public struct ApplicationDemand: Hashable, Sendable {
  /// The name by which the edge knows it.
  public var name: String
  /// What is started for each of its processes, or where it ``preloads`` for the one that is copied.
  ///
  /// It finds at descriptor 3 where it says how it is, at 4 where it prints, at 5 where requests come
  /// from, at 6 the file ``script``, and from 7 on where the answers to each loop go. The one that is copied
  /// finds at 5 where copies are asked for, and nothing from 7 on.
  public var program: Program
  /// What stands in the file that each process is given.
  public var script: [UInt8]
  /// How many processes run it: as the edge asks, within these bounds.
  public var processCounts: ClosedRange<Int>
  /// How many loops the edge has.
  public var loopCount: Int
  /// Whether its processes are copies of one that has loaded the application.
  public var preloads: Bool

  /// Creates a demand.
  public init(
    name: String,
    program: Program,
    script: [UInt8],
    processCounts: ClosedRange<Int>,
    loopCount: Int,
    preloads: Bool = false
  ) {
    self.name = name
    self.program = program
    self.script = script
    self.processCounts = processCounts
    self.loopCount = loopCount
    self.preloads = preloads
  }
}
