import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry
import Synchronization

/// The rate limits of one rule, or of one port of the workload. The buckets are shared by the proxy's workers, the list is one worker's.
final class RateLimiter {
  private struct Entry {
    let limit: RateLimit
    let header: [UInt8]
    let table: BucketTable
  }

  private let entries: [Entry]

  /// Nil without limits, so that whoever has none pays for one look.
  init?(_ limits: [RateLimit], of owner: String, _ registry: BucketRegistry) {
    guard !limits.isEmpty else { return nil }
    entries = limits.map { limit in
      var header: [UInt8] = []
      if case .header(let name) = limit.key { header = Array(name.utf8) }
      return Entry(limit: limit, header: header, table: registry.table(for: limit, of: owner))
    }
  }

  /// Takes a token of each limit, those with keys first as they stand. True: the exchange was answered, as one had none left; what
  /// the others gave is spent.
  func refuses(_ exchange: Exchange) -> Bool {
    for entry in entries {
      guard let wait = entry.table.take(key(entry, exchange), now: exchange.worker.loop.now) else { continue }
      count(entry.limit.key, exchange)
      exchange.fail(.rateLimited(RateLimitRefusal(quota: entry.limit.requests, wait: wait)))
      return true
    }
    return false
  }

  private func count(_ key: RateLimit.Key, _ exchange: Exchange) {
    let event: BackendEvent =
      switch key {
      case .all: .limitedForAll
      case .caller: .limitedForCaller
      case .header: .limitedForHeader
      }
    let names = exchange.service.map { ($0.nameLabel, $0.namespaceLabel) }
    let own = exchange.inboundPort.map { ($0.serviceLabel, $0.namespaceLabel) }
    guard let (name, namespace) = names ?? own else { return }
    exchange.worker.metrics.countBackend(BackendSeriesKey(backend: name, namespace: namespace, event: event))
  }

  private func key(_ entry: Entry, _ exchange: Exchange) -> UInt64 {
    var hasher = Hasher()
    switch entry.limit.key {
    case .all: return 0
    // Of what the own workload asks for, it is the only caller.
    case .caller: hasher.combine(exchange.worker.metrics.labels.string(exchange.peerLabel))
    case .header:
      let value = entry.header.withUnsafeBytes { exchange.request.value(named: $0) }
      if let value { hasher.combine(bytes: value) }
    }
    return UInt64(bitPattern: Int64(hasher.finalize()))
  }
}

/// What a refused client is told.
struct RateLimitRefusal: Sendable {
  /// Requests in a period.
  var quota: UInt32
  var wait: TimeSpan

  /// `Retry-After` (RFC 9110, section 10.2.3) and the fields of draft-ietf-httpapi-ratelimit-headers up to version 06, the ones that clients
  /// know; Envoy's `x-ratelimit-*` mean the same.
  func write(to head: MessageHead) {
    head.append(.retryAfter, number: seconds)
    Self.append("ratelimit-limit", Int(quota), head)
    Self.append("ratelimit-remaining", 0, head)
    Self.append("ratelimit-reset", seconds, head)
  }

  private static func append(_ name: StaticString, _ number: Int, _ head: MessageHead) {
    let name = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    withDecimal(number) { head.append(name: name, value: $0) }
  }

  /// Whole seconds until a request may pass, at least one: to the second is what `Retry-After` can say.
  var seconds: Int {
    max(1, Int(min(wait.nanoseconds / 1_000_000_000 + (wait.nanoseconds % 1_000_000_000 > 0 ? 1 : 0), 1 << 40)))
  }
}

/// Finds the buckets of a limit again when configuration comes anew, for every worker: a change elsewhere must not refill them.
///
/// The lock is taken when configuration is applied, never by a request.
final class BucketRegistry: Sendable {
  private struct Key: Hashable {
    var owner: String
    var limit: RateLimit
  }

  private let bucketsPerLimit: Int
  private let tables = Mutex<[Key: WeakTable]>([:])

  private struct WeakTable: Sendable { weak var table: BucketTable? }

  init(bucketsPerLimit: Int) { self.bucketsPerLimit = bucketsPerLimit }

  func table(for limit: RateLimit, of owner: String) -> BucketTable {
    tables.withLock { tables in
      let key = Key(owner: owner, limit: limit)
      if let known = tables[key]?.table { return known }
      tables = tables.filter { $0.value.table != nil }
      let made = BucketTable(limit, buckets: bucketsPerLimit)
      tables[key] = WeakTable(table: made)
      return made
    }
  }
}
