package import MeshCore
internal import Synchronization

/// The buckets of one limit, shared by all workers of a proxy without a lock.
///
/// A fixed table of sets of eight places. A key that finds no place takes that of the bucket that is full first, which is the least
/// recently used one, with what it owes: nothing, if it is full. So however many keys a client invents, all of them together
/// get no more than the table's buckets may, and nobody's bucket is refilled by being pushed out.
///
/// Two workers that take places for new keys in one set at the same moment may give two keys one place: they then share a bucket once.
package final class BucketTable: Sendable {
  private static var ways: Int { 8 }

  private let bucket: TokenBucket
  private let count: Int
  /// Key and time at which the bucket is full, alternately: 16 bytes for each bucket. `unsafe`, because the compiler cannot know that the pointer
  /// never changes and that all behind it are atomics, read and written by every worker until `deinit`, which nobody shares.
  private nonisolated(unsafe) let cells: UnsafeMutablePointer<Atomic<UInt64>>

  /// At least `buckets`, rounded up to whole sets; one for limits without keys.
  package init(_ limit: RateLimit, buckets: Int) {
    bucket = TokenBucket(limit)
    count = limit.key == .all ? 1 : max(1, (buckets + Self.ways - 1) / Self.ways) * Self.ways
    cells = .allocate(capacity: 2 * count)
    for i in 0..<(2 * count) { (cells + i).initialize(to: Atomic(0)) }
  }

  deinit {
    cells.deinitialize(count: 2 * count)
    cells.deallocate()
  }

  /// Nil: the request may pass. Else the time until another one may.
  package func take(_ key: UInt64, now: Instant) -> TimeSpan? {
    let cell = count == 1 ? cells + 1 : place(of: key)
    var fullAt = cell.pointee.load(ordering: .relaxed)
    while true {
      switch bucket.take(fullAt: fullAt, now: now) {
      case .refused(let wait): return wait
      case .granted(let next):
        let result = cell.pointee.compareExchange(expected: fullAt, desired: next, ordering: .relaxed)
        if result.exchanged { return nil }
        fullAt = result.original
      }
    }
  }

  /// Where the key's bucket is, after taking a place for it if it has none.
  private func place(of key: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
    // 0 is an empty place.
    let key = key | 1
    let set = Int(truncatingIfNeeded: key.multipliedFullWidth(by: UInt64(count / Self.ways)).high)
    let first = cells + 2 * set * Self.ways
    while true {
      var victim = first
      var victimKey: UInt64 = 0
      var earliest = UInt64.max
      for way in 0..<Self.ways {
        let cell = first + 2 * way
        let held = cell.pointee.load(ordering: .relaxed)
        if held == key { return cell + 1 }
        let fullAt = (cell + 1).pointee.load(ordering: .relaxed)
        if fullAt < earliest {
          earliest = fullAt
          victim = cell
          victimKey = held
        }
      }
      if victim.pointee.compareExchange(expected: victimKey, desired: key, ordering: .relaxed).exchanged {
        return victim + 1
      }
    }
  }
}
