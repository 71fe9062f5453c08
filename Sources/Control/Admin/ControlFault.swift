public import JSONRPC

/// Why a method of the control socket failed, besides the errors of JSON-RPC itself.
public enum ControlFault: Int, CaseIterable, Sendable {
  /// There is no such upstream.
  case noUpstream = -32010
  /// There is no such member.
  case noMember = -32011
  /// What is to be added is there.
  case exists = -32012
  /// What is to be removed is in use.
  case inUse = -32013
  /// What was written is not in the language of the configuration.
  case wrongText = -32014
  /// As many changes are in force as may be.
  case tooMany = -32015
  /// The change is in force, but could not be kept.
  case notKept = -32016
  /// There is no such table.
  case noTable = -32017
  /// The table counts what is under way.
  case notClearable = -32018
  /// There is no such certificate.
  case noCertificate = -32019
  /// No edge process serves now that could do it.
  case unavailable = -32020
  /// There is no cache of this name.
  case noCache = -32021
  /// A command failed; `data.status` has the code with which `martlet` ends.
  case failed = -32030

  /// What it means, as a sentence.
  public var meaning: String {
    switch self {
    case .noUpstream: "there is no such upstream"
    case .noMember: "there is no such member"
    case .exists: "what is to be added is there already"
    case .inUse: "what is to be removed is in use"
    case .wrongText: "what was written is not in the language of the configuration"
    case .tooMany: "as many changes are in force as may be"
    case .notKept: "the change is in force, but could not be kept"
    case .noTable: "there is no such table"
    case .noCache: "there is no such cache"
    case .notClearable: "the table counts what is under way: it cannot be cleared"
    case .noCertificate: "there is no such certificate"
    case .unavailable: "no edge process serves now that could do it"
    case .failed: "the command failed; `data.status` has the code with which `martlet` ends"
    }
  }

  /// The error with a message of its own.
  public func error(_ message: String) -> RPCError { RPCError(rawValue, message) }

  /// The error as a method declares it.
  var declared: RPCError { error(meaning) }
}
