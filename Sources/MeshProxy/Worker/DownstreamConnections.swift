import MeshRuntime

/// A connection that can end in order.
protocol Drainable: AnyObject {
  /// Finish what is in flight, then close.
  func drain()
}

/// The connections that clients have with one worker: how many, and whom a drain tells.
///
/// Limit: `ProxyLimits.maximumDownstreamConnections`, handshakes that are not through yet included.
struct DownstreamConnections {
  private(set) var count = 0
  private var drainables: [ObjectIdentifier: any Drainable] = [:]

  /// One more; false when there are `limit`.
  mutating func admit(most limit: Int) -> Bool {
    guard count < limit else { return false }
    count += 1
    return true
  }

  /// One that was admitted did not become a connection, such as a failed handshake.
  mutating func refused() { count -= 1 }

  mutating func closed(_ connection: Connection) {
    count -= 1
    drainables[ObjectIdentifier(connection)] = nil
  }

  /// Remembers what serves `connection`, in place of what did so before.
  mutating func register(_ drainable: any Drainable, of connection: Connection) {
    drainables[ObjectIdentifier(connection)] = drainable
  }

  var toDrain: [any Drainable] { Array(drainables.values) }
}
