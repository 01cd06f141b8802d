/// How much of a backend one proxy uses at a time. Nil: as much as it asks for.
///
/// The numbers are a proxy's. Each of its workers has its own part and keeps it exactly, without looking at the others (`share`).
/// What goes past a limit is answered 503 at once, with the response flag `UO`.
package struct BackendLimits: Hashable, Sendable {
  /// Connections opened for the backend's sake. A request that would need one more waits for one that its endpoint has; where
  /// there is none it takes the place of an idle one to another endpoint, or is refused.
  package var connections: UInt32?
  /// Requests that wait for a connection.
  package var pendingRequests: UInt32?
  /// Requests and tunnels, from their arrival to their end. A request counts once, however often it is sent.
  package var activeRequests: UInt32?

  package init(connections: UInt32? = nil, pendingRequests: UInt32? = nil, activeRequests: UInt32? = nil) {
    self.connections = connections
    self.pendingRequests = pendingRequests
    self.activeRequests = activeRequests
  }

  /// The part of a limit that worker `index` of `count` has: an equal one, the first workers one more until the remainder is
  /// used up. At least 1, because the kernel, not the proxy, decides which worker gets a client: with fewer than one for each,
  /// some clients would never be served. So a limit below the number of workers stands for that number.
  package static func share(of limit: UInt32?, worker index: Int, of count: Int) -> Int {
    guard let limit else { return .max }
    let (whole, rest) = Int(limit).quotientAndRemainder(dividingBy: max(count, 1))
    return max(1, whole + (index < rest ? 1 : 0))
  }
}
