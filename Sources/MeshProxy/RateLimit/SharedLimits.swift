import MeshCore
import MeshPolicy
import MeshTelemetry
import Synchronization

/// What the workers of a proxy count together, since the kernel gives clients to workers. Made once, held by all of them.
final class SharedLimits: Sendable {
  let buckets: BucketRegistry
  let concurrency = ConcurrencyRegistry()

  init(_ limits: ProxyLimits) { buckets = BucketRegistry(bucketsPerLimit: limits.maximumRateLimitBuckets) }
}

/// Finds the limiter of a port again when configuration comes anew, for every worker: what it has learnt stays.
///
/// The lock is taken when configuration is applied and when metrics are read, never by a request.
final class ConcurrencyRegistry: Sendable {
  private struct Key: Hashable {
    var port: UInt16
    var service: ServicePort
    var settings: AdaptiveConcurrency
  }

  private struct WeakLimiter: Sendable { weak var limiter: ConcurrencyLimiter? }

  private let limiters = Mutex<[Key: WeakLimiter]>([:])

  func limiter(
    _ settings: AdaptiveConcurrency, of port: InboundPortConfig, seed: UInt64, now: Instant
  )
    -> ConcurrencyLimiter
  {
    limiters.withLock { limiters in
      let key = Key(port: port.port, service: port.service, settings: settings)
      if let known = limiters[key]?.limiter { return known }
      limiters = limiters.filter { $0.value.limiter != nil }
      let made = ConcurrencyLimiter(settings, seed: seed, now: now)
      limiters[key] = WeakLimiter(limiter: made)
      return made
    }
  }

  var gauges: [ConcurrencyGauge] {
    limiters.withLock { limiters in
      limiters.compactMap { key, held in
        held.limiter.map {
          ConcurrencyGauge(
            service: key.service.service.name, namespace: key.service.service.namespace, port: key.port,
            limit: $0.limit, inFlight: $0.inFlight, unloadedLatency: $0.unloadedLatency)
        }
      }
    }.sorted { $0.port < $1.port }
  }
}
