import MeshAPI
import MeshCore
import MeshPolicy

/// What the control thread knows: the newest accepted version of each resource, and who waits for which.
///
/// Pure: takes converted resources in, gives `ConfigUpdate`s for the workers out. The last accepted version stays until
/// the control plane sends another, so that a proxy serves on while the controller is away.
struct ConfigStore {
  private(set) var services: [ServicePort: ServiceConfig] = [:]
  private(set) var endpoints: [ServicePort: EndpointSet] = [:]
  private(set) var hashes: [DiscoveryKey: UInt64] = [:]
  private(set) var subscribed: Set<ServicePort> = []
  private var missing: Set<ServicePort> = []
  /// Of those, in namespaces that the mesh does not know.
  private var outside: Set<ServicePort> = []
  private var missingBackends: Set<ServicePort> = []
  /// Services whose backends' endpoints have not all arrived.
  private var incomplete: Set<ServicePort> = []

  /// Notes interest. True when the control plane must be asked.
  mutating func subscribe(_ key: ServicePort) -> Bool { subscribed.insert(key).inserted }

  /// What a worker that asks for `key` can be told at once; nil when only the control plane knows.
  func answer(for key: ServicePort) -> ConfigUpdate? {
    if missing.contains(key) { return ConfigUpdate(services: [(key, nil)], outside: outside.intersection([key])) }
    guard let service = services[key], !incomplete.contains(key) else { return nil }
    var update = ConfigUpdate()
    update.endpoints = backends(of: service).map { ($0, endpoints[$0]) }
    update.services = [(key, service)]
    return update
  }

  /// A resource has come whose content is still to be found.
  mutating func note(_ hash: UInt64, of key: DiscoveryKey) { hashes[key] = hash }

  /// Takes one delta in.
  mutating func apply(
    _ resources: [(MeshResource, UInt64)], removed: [DiscoveryKey], outside names: Set<ServicePort> = []
  ) -> ConfigUpdate {
    var update = ConfigUpdate(outside: names)
    var touched = incomplete
    for (resource, hash) in resources {
      hashes[resource.key] = hash
      switch resource {
      case .service(let config):
        services[config.key] = config
        missing.remove(config.key)
        outside.remove(config.key)
        touched.insert(config.key)
      case .endpoints(let set):
        endpoints[set.key] = set
        missingBackends.remove(set.key)
        update.endpoints.append((set.key, set))
      case .hosts(let hosts): update.hosts = hosts
      case .workload, .trust: break
      }
    }
    for key in removed { remove(key, &update, &touched) }
    outside.formUnion(names)
    for key in touched.sorted() {
      guard let service = services[key] else { continue }
      let isComplete = backends(of: service).allSatisfy { endpoints[$0] != nil || missingBackends.contains($0) }
      if isComplete {
        incomplete.remove(key)
        update.services.append((key, service))
      } else {
        incomplete.insert(key)
      }
    }
    return update
  }

  private mutating func remove(_ key: DiscoveryKey, _ update: inout ConfigUpdate, _ touched: inout Set<ServicePort>) {
    hashes[key] = nil
    switch key {
    case .service(let name):
      services[name] = nil
      incomplete.remove(name)
      touched.remove(name)
      missing.insert(name)
      outside.remove(name)
      update.services.append((name, nil))
    case .endpoints(let name):
      endpoints[name] = nil
      missingBackends.insert(name)
      update.endpoints.append((name, nil))
    case .hosts: update.hosts = ExternalHosts()
    case .workload, .trust: break
    }
  }

  private func backends(of service: ServiceConfig) -> [ServicePort] {
    var seen: Set<ServicePort> = []
    return service.rules.flatMap(\.backends).filter { $0.failureStatus == nil }.map(\.backend).filter {
      seen.insert($0).inserted
    }
  }
}
