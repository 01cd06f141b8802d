import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// One backend as a worker uses it: its balancer, and an `EndpointEntry` for each slot of it.
///
/// Shared by every service whose rules name the backend. Confined to one worker loop.
final class BackendEntry {
  let key: ServicePort
  let balancer: EndpointBalancer
  /// Repeats of any rule's requests to this backend.
  var retryBudget: RetryBudget
  /// False until the control plane has sent the endpoint set.
  private(set) var isKnown = false
  private var entries: [EndpointEntry?] = []

  /// Ids of the metric labels.
  let nameLabel: Int32
  let namespaceLabel: Int32

  init(key: ServicePort, labels: LabelInterner, budget: RetryBudget.Settings, seed: UInt64, now: Instant) {
    self.key = key
    retryBudget = RetryBudget(budget)
    nameLabel = labels.id(key.service.name)
    namespaceLabel = labels.id(key.service.namespace)
    balancer = EndpointBalancer(seed: seed, now: now)
  }

  func update(_ set: EndpointSet, worker: ProxyWorker) {
    isKnown = true
    balancer.update(set.endpoints, now: worker.loop.now)
    var next: [EndpointEntry?] = []
    for (ref, endpoint) in balancer.current {
      while next.count <= ref.slot { next.append(nil) }
      if ref.slot < entries.count, let old = entries[ref.slot], old.matches(endpoint, set.appProtocol) {
        next[ref.slot] = old
      } else {
        next[ref.slot] = worker.makeEndpoint(endpoint, set.appProtocol)
      }
    }
    entries = next
  }

  func entry(_ ref: EndpointRef) -> EndpointEntry? { ref.slot < entries.count ? entries[ref.slot] : nil }
}

extension EndpointEntry {
  func matches(_ endpoint: Endpoint, _ appProtocol: AppProtocol) -> Bool {
    address == endpoint.address && identity == endpoint.identity && workload == endpoint.workload
      && (isMeshed || isHTTP2 == appProtocol.isHTTP2)
  }
}
