public import MartletLoop

// The connections of clients, on all loops.
extension EdgeServer {
  /// Open connections that meet a filter: at most `limit`, from the one behind `id` on.
  ///
  /// - Returns: The connections in an order that stays the same, and the last of them if there are
  ///   more.
  public func connections(
    _ filter: ConnectionFilter,
    after id: ConnectionID? = nil,
    limit: Int
  ) async -> (views: [ConnectionView], next: ConnectionID?) {
    var views: [ConnectionView] = []
    for (index, local) in workers.enumerated() where index >= id?.loop ?? 0 {
      let number = index == id?.loop ? id?.number ?? 0 : 0
      // One more than is wanted tells whether there are more.
      let missing = limit + 1 - views.count
      views += await local.perform { $0.views(filter, after: number, limit: missing) }
      if views.count > limit {
        views.removeLast()
        return (views, views.last?.id)
      }
    }
    return (views, nil)
  }

  /// Ends connections that meet a filter, with what is under way on them; with `softly` a request that
  /// is under way still has its answer.
  ///
  /// - Returns: How many.
  public func closeConnections(_ filter: ConnectionFilter, softly: Bool) async -> Int {
    var count = 0
    for local in workers { count += await local.perform { $0.close(filter, softly: softly) } }
    return count
  }

  /// What runs on each loop, in the order of the loops.
  public func coroutines() async -> [[CoroutineView]] {
    var all: [[CoroutineView]] = []
    for local in workers { all.append(await local.perform { $0.loop.coroutineViews() }) }
    return all
  }
}
