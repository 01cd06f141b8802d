package import MeshCore

/// How many requests one proxy lets through.
///
/// A token bucket: `burst` requests at once, refilled evenly with `requests` in each `period`. The bucket is the proxy's, whatever the
/// number of its workers: the kernel gives clients to workers, and one client must not get a worker's part only.
package struct RateLimit: Hashable, Sendable {
  /// Which requests share a bucket.
  package enum Key: Hashable, Sendable {
    case all
    /// Those of one identity; those without any share one.
    case caller
    /// Those with the same value of the field, whose name is in lower case; those without it share one.
    case header(String)
  }

  package var key: Key
  package var requests: UInt32
  package var period: TimeSpan
  package var burst: UInt32

  /// All numbers are at least 1; without `burst`, a period's requests may come at once.
  package init(_ requests: UInt32, per period: TimeSpan, burst: UInt32? = nil, key: Key = .all) {
    self.key = key
    self.requests = requests
    self.period = period
    self.burst = burst ?? requests
  }
}
