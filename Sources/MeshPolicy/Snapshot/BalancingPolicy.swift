package import MeshCore

/// Which endpoint a request goes to.
package struct BalancingPolicy: Hashable, Sendable {
  package enum Algorithm: UInt8, Hashable, Sendable, CaseIterable {
    /// The less loaded of two drawn at random; load is the peak-sensitive latency estimate times the requests under way.
    case peakEWMA
    /// The one with fewer requests under way of two drawn at random.
    case leastRequest
    /// In turn.
    case roundRobin
    case random
    /// By the hash of a request's key, on a ring of points. Shares are near the weights, within some percent.
    case ringHash
    /// By the hash of a request's key, in Maglev's table. Shares are the weights, almost exactly.
    case maglev

    package var isHashing: Bool { self == .ringHash || self == .maglev }
  }

  package var algorithm: Algorithm
  /// Where the hashing algorithms find a request's key. A request without one, or with no source given, goes to a random
  /// endpoint.
  package var hashSource: HashSource?
  /// Nil: a new endpoint gets its full share at once. The hashing algorithms know none: their shares are in their tables.
  package var slowStart: SlowStart?
  /// Below this share of available endpoints the unavailable ones are used, too: that few cannot carry everything, and a fault
  /// that is everywhere is not the endpoints'. 0 switches the panic off.
  package var panicPercent: UInt32
  /// Nil: zones do not count.
  package var locality: LocalityPolicy?
  /// Nil: any endpoint serves any request.
  package var subset: SubsetPolicy?

  package init(
    algorithm: Algorithm = .peakEWMA, hashSource: HashSource? = nil, slowStart: SlowStart? = nil,
    panicPercent: UInt32 = 50, locality: LocalityPolicy? = nil, subset: SubsetPolicy? = nil
  ) {
    self.locality = locality
    self.subset = subset
    self.algorithm = algorithm
    self.hashSource = hashSource
    self.slowStart = slowStart
    self.panicPercent = panicPercent
  }
}

/// The part of a request that names who should keep the same endpoint.
package enum HashSource: Hashable, Sendable {
  /// The values of all fields called so, in lower case.
  case header(String)
  case cookie(AffinityCookie)
  /// The first query parameter called so, as it is written.
  case query(String)
  /// The address of the client's connection, without its port.
  case sourceAddress
}

/// A cookie that a client is given with its first answer and keeps its endpoint by.
package struct AffinityCookie: Hashable, Sendable {
  package var name: String
  /// Nil: until the client forgets its session. Whole seconds are told.
  package var lifetime: TimeSpan?
  /// Empty: the client takes the directory of the path it asked for.
  package var path: String

  package init(name: String, lifetime: TimeSpan? = nil, path: String = "/") {
    self.name = name
    self.lifetime = lifetime
    self.path = path
  }
}

/// The share of an endpoint that is new, or has returned from an ejection, grows for a while.
///
/// After the time `t` the endpoint gets `max(minimumPercent, (t / window) ^ (1 / aggression))` of its share. Endpoints that come
/// together with the whole set have nobody to leave their share to and get it at once.
package struct SlowStart: Hashable, Sendable {
  package var window: TimeSpan
  /// 1: evenly. Above, more at first; below, less.
  package var aggression: Double
  package var minimumPercent: UInt32

  package init(window: TimeSpan, aggression: Double = 1, minimumPercent: UInt32 = 10) {
    self.window = window
    self.aggression = aggression
    self.minimumPercent = minimumPercent
  }

  /// The part of its full share that an endpoint has `age` after it came.
  package func share(at age: TimeSpan) -> Double {
    if age >= window { return 1 }
    let elapsed = max(Double(age.nanoseconds), 0) / Double(max(window.nanoseconds, 1))
    return max(Double(minimumPercent) / 100, aggression == 1 ? elapsed : power(elapsed, 1 / aggression))
  }
}
