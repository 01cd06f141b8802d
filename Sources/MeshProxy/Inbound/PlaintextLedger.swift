import MeshCore
import MeshPolicy
import MeshRuntime

/// Who has called one worker without a certificate of the mesh: what an operator must know before plaintext is refused.
///
/// Confined to one worker loop. Limit: `ProxyLimits.maximumPlaintextCallers` rows; the one silent longest leaves.
final class PlaintextLedger {
  struct Key: Hashable, Sendable {
    /// Without a port.
    var caller: SocketAddress
    /// The one that was asked for.
    var port: UInt16
  }

  struct Row: Sendable {
    var key: Key
    var allowed: UInt64 = 0
    var refused: UInt64 = 0
    /// Unix milliseconds.
    var first: Int64
    var last: Int64
    fileprivate var lastSeen: Instant
    /// When its process was asked for last.
    fileprivate var reported: Instant?
  }

  /// On the heap: a value would be changed inside of its dictionary, which allocates each time.
  private final class Entry {
    var row: Row
    init(_ row: Row) { self.row = row }
  }

  private var entries: [Key: Entry] = [:]
  var rows: [Key: Row] { entries.mapValues(\.row) }
  /// Rows that had to leave.
  private(set) var forgotten: UInt64 = 0
  private let maximum: Int
  private var nextLog = Instant(nanoseconds: 0)
  private var nextReport = Instant(nanoseconds: 0)
  /// Tells the control thread of a connection, whose process can be found while it is open.
  var report: @Sendable (PlaintextContact) -> Void = { _ in }

  init(_ limits: ProxyLimits) { maximum = limits.maximumPlaintextCallers }

  /// False when a row had to leave for it.
  @discardableResult
  func note(_ peer: SocketAddress, port: UInt16, isAllowed: Bool, now: Instant) -> Bool {
    let key = Key(caller: SocketAddress(high: peer.high, low: peer.low, port: 0), port: port)
    let time = WallClock.now
    var isComplete = true
    let entry: Entry
    if let known = entries[key] {
      entry = known
    } else {
      if entries.count >= maximum { isComplete = !forgetOldest() }
      entry = Entry(Row(key: key, first: time, last: time, lastSeen: now))
      entries[key] = entry
    }
    entry.row.note(isAllowed, time, now)
    // Looking for a process costs the control thread milliseconds: a caller that goes on is asked for once a second, and no more
    // than ten are a second.
    let isDue = entry.row.reported.map { now - $0 >= .seconds(1) } ?? true
    if isDue, now >= nextReport {
      entry.row.reported = now
      nextReport = now + .milliseconds(100)
      report(PlaintextContact(key: key, peer: peer))
    }
    return isComplete
  }

  private func forgetOldest() -> Bool {
    guard let oldest = entries.values.min(by: { $0.row.lastSeen < $1.row.lastSeen }) else { return false }
    entries[oldest.row.key] = nil
    forgotten &+= 1
    return true
  }

  /// At most one line a second, whoever calls.
  func mayLog(_ now: Instant) -> Bool {
    guard now >= nextLog else { return false }
    nextLog = now + .seconds(1)
    return true
  }
}

extension PlaintextLedger.Row {
  fileprivate mutating func note(_ isAllowed: Bool, _ time: Int64, _ now: Instant) {
    if isAllowed { allowed &+= 1 } else { refused &+= 1 }
    last = time
    lastSeen = now
  }

  /// Of two workers, about one caller.
  mutating func add(_ other: PlaintextLedger.Row) {
    allowed &+= other.allowed
    refused &+= other.refused
    first = min(first, other.first)
    last = max(last, other.last)
  }
}

/// A connection of a caller in plaintext.
struct PlaintextContact: Sendable {
  var key: PlaintextLedger.Key
  /// With its port.
  var peer: SocketAddress
}
