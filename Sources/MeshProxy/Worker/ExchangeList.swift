import MeshCore

/// The exchanges of one worker: those under way, and finished ones that serve again.
///
/// Pure bookkeeping, in constant time per exchange: an exchange knows its own place. Limits: `maximumKept` are kept for later;
/// `ProxyLimits.maximumMirrors` and `maximumFaults` of those under way are mirrors, or meet faults.
struct ExchangeList {
  static let maximumKept = 1_024
  /// Of those, once many have gone by.
  static let keptAfterTrim = 64

  private(set) var underway: [Exchange] = []
  private var kept: [Exchange] = []
  private(set) var mirrorCount = 0
  private(set) var faultCount = 0

  // MARK: - Use again

  mutating func reuse() -> Exchange? { kept.popLast() }

  /// `exchange` is as good as new.
  mutating func keep(_ exchange: Exchange) {
    if kept.count < Self.maximumKept { kept.append(exchange) }
  }

  mutating func trim() { kept.removeLast(max(0, kept.count - Self.keptAfterTrim)) }

  // MARK: - Under way

  mutating func add(_ exchange: Exchange) {
    exchange.listIndex = underway.count
    underway.append(exchange)
  }

  /// The last one takes its place.
  mutating func remove(_ exchange: Exchange) {
    let index = exchange.listIndex
    guard index >= 0 else { return }
    let last = underway.removeLast()
    if last !== exchange {
      underway[index] = last
      last.listIndex = index
    }
    exchange.listIndex = -1
  }

  /// Those in whose streams nothing has moved for as long as they allow. Silence that the proxy itself ordered is nobody's.
  func idle(at now: Instant) -> [Exchange] {
    underway.filter { exchange in
      guard exchange.phase != .delaying, exchange.phase != .backingOff else { return false }
      let limit = exchange.idleLimit
      return limit > .zero && now - exchange.lastActivity >= limit
    }
  }

  // MARK: - Mirrors and faults

  /// An exchange of the proxy's own, which copies another. False when there are too many.
  mutating func admitMirror(most limit: Int) -> Bool {
    guard mirrorCount < limit else { return false }
    mirrorCount += 1
    return true
  }

  /// An exchange meets faults. False when there are too many that do.
  mutating func admitFault(most limit: Int) -> Bool {
    guard faultCount < limit else { return false }
    faultCount += 1
    return true
  }

  /// Before what `exchange` was is forgotten.
  mutating func release(_ exchange: Exchange) {
    if exchange.fault != nil { faultCount -= 1 }
    if exchange.isMirror { mirrorCount -= 1 }
  }
}
