import MeshCore
import MeshPolicy

/// The active checks of one backend's endpoints that this worker makes for the whole proxy. Confined to one worker loop.
final class HealthChecker {
  /// What is asked, and how: as the backend's policy says, or the endpoint's own.
  typealias Subject = (endpoint: EndpointEntry, policy: HealthCheckPolicy)

  private var checks: [EndpointCheck] = []

  /// An endpoint whose policy is as before keeps what is known about it.
  func update(_ subjects: [Subject], of backend: BackendEntry, worker: ProxyWorker) {
    var old: [ObjectIdentifier: EndpointCheck] = [:]
    for check in checks { old[ObjectIdentifier(check.endpoint)] = check }
    checks = subjects.map { endpoint, policy in
      let id = ObjectIdentifier(endpoint)
      if let kept = old[id], kept.policy == policy {
        old[id] = nil
        return kept
      }
      let check = EndpointCheck(endpoint, of: backend, policy, worker: worker)
      check.start()
      return check
    }
    for check in old.values { check.stop() }
  }

  func stop() {
    for check in checks { check.stop() }
    checks = []
  }
}

extension WorkerPart {
  /// Exactly one of the workers checks an endpoint. All of them agree which without asking each other.
  func checks(_ address: SocketAddress) -> Bool {
    var hash = StableHash()
    hash.add(address, withPort: true)
    return hash.value % UInt64(max(count, 1)) == UInt64(index)
  }
}
