import MartletNet

/// The connections to members that exchanges share, by HTTP/2 or FastCGI.
extension Worker {
  /// Keeps one.
  func attend(_ connection: SharedConnection) {
    let number = Int(connection.stream.descriptor)
    while sharedConnections.count <= number { sharedConnections.append(nil) }
    sharedConnections[number] = connection
  }

  /// Lets go of one that has ended.
  func forget(_ connection: SharedConnection) {
    sharedConnections[Int(connection.stream.descriptor)] = nil
  }

  /// The one with this descriptor.
  func sharedConnection(of descriptor: Int32) -> SharedConnection? {
    let index = Int(descriptor)
    return index < sharedConnections.count ? sharedConnections[index] : nil
  }
}
