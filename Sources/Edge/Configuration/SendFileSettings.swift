/// Which files the answers of members may name, which are then sent in their place.
public struct SendFileSettings: Hashable, Sendable {
  /// The field of the answer that names one.
  public var field: String
  /// The folder of the files, by an absolute path.
  public var root: String
  /// What stands for the folder in the field's value, without a slash at its end; empty: nothing does.
  public var prefix = ""

  /// Creates settings that say nothing of what stands for the folder.
  public init(field: String, root: String) {
    (self.field, self.root) = (field, root)
  }
}
