import MeshCore
import MeshPolicy

func endpoint(_ n: Int, identity: String? = nil, weight: UInt32 = 1) -> Endpoint {
  Endpoint(
    address: SocketAddress(ipv4: 0x7F42_0000 + UInt32(n), port: 80), workload: "w\(n)",
    identity: identity.map { SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: $0) },
    weight: weight)
}

func endpoints(_ count: Int) -> [Endpoint] { (0..<count).map { endpoint($0) } }

func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000) + .milliseconds(milliseconds) }

/// A balancer with its own random numbers.
final class Fixture {
  var random: SeededRandom
  let balancer: EndpointBalancer
  let policy: BackendPolicy

  init(
    _ endpoints: [Endpoint], _ policy: BackendPolicy = BackendPolicy(), home: Locality = Locality(), workers: Int = 1,
    seed: UInt64 = 11
  ) {
    self.policy = policy
    balancer = EndpointBalancer(
      endpoints, policy: policy, home: home, workerCount: workers, seed: seed, now: at(0))
    random = SeededRandom(seed: seed)
  }

  convenience init(_ count: Int, seed: UInt64 = 11) { self.init(MeshPolicyTests.endpoints(count), seed: seed) }

  convenience init(_ endpoints: [Endpoint], _ algorithm: BalancingPolicy.Algorithm, seed: UInt64 = 11) {
    self.init(endpoints, BackendPolicy(balancing: BalancingPolicy(algorithm: algorithm)), seed: seed)
  }

  convenience init(_ count: Int, outliers: OutlierPolicy) {
    // So that whoever is ready is picked soon, whatever it did before.
    self.init(
      MeshPolicyTests.endpoints(count),
      BackendPolicy(balancing: BalancingPolicy(algorithm: .random), outliers: outliers))
  }

  func update(_ set: [Endpoint], at now: Instant) { balancer.update(set, policy: policy, now: now) }

  /// Whatever the balancer picks.
  func pick(at now: Instant, key: UInt64? = nil, excluding: EndpointRef? = nil) -> EndpointRef? {
    pick(at: now, key: key, after: excluding.map { [$0] } ?? [])
  }

  /// For a request that was at these before.
  func pick(at now: Instant, key: UInt64? = nil, after tried: [EndpointRef]) -> EndpointRef? {
    balancer.pick(now: now, &random, key: key, excluding: tried)
  }

  /// Picks until it gets the endpoint wanted; nil when it is never picked.
  func pick(_ slot: Int, at now: Instant) -> EndpointRef? {
    for _ in 0..<500 {
      if let ref = balancer.pick(now: now, &random), ref.slot == slot { return ref }
    }
    return nil
  }

  /// One request that ends at once; false when the endpoint was never picked.
  @discardableResult
  func request(
    _ slot: Int, _ outcome: EndpointOutcome, latency: TimeSpan = .milliseconds(1), at now: Instant
  ) -> Bool {
    guard let ref = pick(slot, at: now) else { return false }
    balancer.started(ref)
    balancer.finished(ref, latency: latency, outcome: outcome, now: now)
    return true
  }

  /// How often each slot is picked, when each request ends at once, after a millisecond.
  func shares(of picks: Int, from start: Int64 = 0, spacing: Int64 = 1, keys: Bool = false) -> [Double] {
    var counts = [Int](repeating: 0, count: balancer.count)
    for i in 0..<picks {
      let now = at(start + Int64(i) * spacing)
      guard let ref = pick(at: now, key: keys ? random.next() : nil) else { continue }
      counts[ref.slot] += 1
      balancer.started(ref)
      balancer.finished(ref, latency: .milliseconds(1), outcome: .success, now: now)
    }
    return counts.map { Double($0) / Double(picks) }
  }

  func status(_ slot: Int, at now: Instant) -> EndpointStatus { balancer.endpointStates(now: now)[slot] }
}
