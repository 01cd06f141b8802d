import MeshCore
import MeshPolicy
import MeshResources

/// A service as the compiler sees it, from a manifest or implied by workloads.
struct EffectiveService {
  var name: ServiceName
  /// Nil for an implicit service.
  var manifest: Located<Service>?
  /// Ordered by number.
  var ports: [Service.Port]
  /// What the service sends to, in the order of `ServiceTable.workloads`.
  var members: [EffectiveWorkload] = []
  var slices: [EndpointSlice] = []

  /// Clients of a headless service go to its endpoints by address, past every route.
  var isHeadless: Bool { manifest?.value.isHeadless ?? false }

  func port(_ number: UInt16) -> Service.Port? { ports.first { $0.port == number } }

  /// Whether a workload of its namespace is a member.
  func isServed(by workload: EffectiveWorkload) -> Bool {
    manifest.map { workload.isSelected(by: $0.value.selector) } ?? (workload.service == name.name)
  }

  /// About a workload of its namespace that is meant for it and is no member.
  func selectorWarning(of workload: EffectiveWorkload) -> ManifestProblem? {
    guard let manifest, workload.service == name.name else { return nil }
    return manifest.warning(
      "spec.selector", "the workload \(workload.name) runs for this service, but the selector does not select it",
      fix: "write selector: {app: \(name.name)}, or give the workload the labels", code: .selectorMisses)
  }
}

/// A workload as the compiler sees it: registered by `apus run`, or a `Workload` object.
struct EffectiveWorkload {
  var name: String
  var namespace: String
  var address: SocketAddress
  var ports: [WorkloadPort]
  var labels: [String: String]
  var ready: Bool
  var identity: SPIFFEID?
  /// What `--service` named.
  var service: String?
  var isRegistered: Bool
  /// By its labels.
  var locality = Locality()
  var weight: UInt32 = 1
  var healthCheck: HealthCheckPolicy?

  init(_ workload: RegisteredWorkload) {
    name = workload.name
    namespace = workload.namespace
    address = workload.address
    ports = workload.ports.map { WorkloadPort(port: $0) }
    labels = workload.labels
    if let service = workload.service {
      labels["app"] = labels["app"] ?? service
      labels["apus.dev/service"] = service
    }
    ready = workload.ready
    identity = workload.identity
    service = workload.service
    isRegistered = true
  }

  init(_ workload: Workload, trustDomain: String) {
    name = workload.metadata.name
    namespace = workload.metadata.namespace
    address = workload.address
    ports = workload.ports
    labels = workload.labels
    ready = workload.ready
    weight = workload.weight
    healthCheck = workload.healthCheck
    identity = workload.serviceAccount.map {
      SPIFFEID(trustDomain: trustDomain, namespace: workload.metadata.namespace, serviceAccount: $0)
    }
    service = nil
    isRegistered = false
  }

  /// Registered workloads go first, so that they win over objects with the same address.
  func goesBefore(_ other: EffectiveWorkload) -> Bool {
    if isRegistered != other.isRegistered { return isRegistered }
    return (namespace, name, address.description) < (other.namespace, other.name, other.address.description)
  }

  func isSelected(by selector: [String: String]) -> Bool {
    !selector.isEmpty && selector.allSatisfy { labels[$0.key] == $0.value }
  }

  /// The workload's port behind a service port; nil when it has none.
  ///
  /// Programs on one machine cannot all listen on 8080, so the only port of a registered workload stands in for the
  /// target of a service's only port, whatever its number or name: the same manifests then serve a cluster and a
  /// laptop.
  func port(for port: Service.Port, ofMany count: Int) -> UInt16? {
    switch port.targetPort {
    case .number(let number) where ports.contains { $0.port == number } || ports.isEmpty: return number
    case .name(let name):
      if let named = ports.first(where: { $0.name == name }) { return named.port }
    default: break
    }
    return isRegistered && count == 1 && ports.count == 1 ? ports[0].port : nil
  }
}

/// All services by name, each with its members.
struct ServiceTable {
  var services: [ServiceName: EffectiveService] = [:]
  /// Services of type ExternalName, which are names of others and no services.
  private(set) var aliases: [ServiceName: Located<Service>] = [:]
  /// ExternalServices, whose names are none of the above.
  private(set) var externals: [ServiceName: EffectiveService] = [:]
  /// Ordered as `EffectiveWorkload.goesBefore` has it.
  var workloads: [EffectiveWorkload]
  /// By address, for EndpointSlices that list an address of the mesh.
  var workloadsByHost: [SocketAddress: EffectiveWorkload] = [:]
  /// Several workloads have one address, so that it depends on all of them whose it is.
  private(set) var hasSharedHosts = false
  /// Of services whose selectors miss workloads that are meant for them.
  var selectorWarnings: [ServiceName: [ManifestProblem]] = [:]
  /// Of zones, as far as some workload says both.
  private var regions: [String: String] = [:]

  init(_ snapshot: Snapshot, _ warnings: inout [ManifestProblem]) {
    workloads = snapshot.workloads.map(EffectiveWorkload.init)
    var slices: [(key: ResourceKey, slice: EndpointSlice)] = []
    for (key, located) in snapshot.manifests {
      switch located.value {
      case .service(let service):
        let name = ServiceName(name: key.name, namespace: key.namespace)
        guard service.externalName == nil else {
          aliases[name] = Located(service, at: located.position)
          continue
        }
        let ports = service.ports.sorted { $0.port < $1.port }
        services[name] = EffectiveService(
          name: name, manifest: Located(service, at: located.position), ports: ports)
      case .workload(let workload):
        workloads.append(EffectiveWorkload(workload, trustDomain: snapshot.trustDomain))
      case .endpointSlice(let slice):
        slices.append((key, slice))
      default: continue
      }
    }
    workloads.sort { $0.goesBefore($1) }
    placeWorkloads()
    for workload in workloads {
      let host = workload.address.withPort(0)
      if workloadsByHost[host] == nil { workloadsByHost[host] = workload } else { hasSharedHosts = true }
    }
    addImplicitServices()
    addMembers()
    addSlices(slices.sorted { $0.key < $1.key }, snapshot, &warnings)
    addExternals(snapshot)
  }

  /// A Service or an ExternalService: no name is both.
  func declared(_ name: ServiceName) -> EffectiveService? { services[name] ?? externals[name] }

  private mutating func addExternals(_ snapshot: Snapshot) {
    for (key, located) in snapshot.manifests {
      guard case .externalService(let external) = located.value else { continue }
      let name = ServiceName(name: key.name, namespace: key.namespace)
      guard services[name] == nil, aliases[name] == nil else { continue }
      let ports = external.ports.map {
        Service.Port(name: $0.name, port: $0.port, targetPort: .number($0.targetPort), appProtocol: $0.appProtocol)
      }
      externals[name] = EffectiveService(name: name, manifest: nil, ports: ports.sorted { $0.port < $1.port })
    }
  }

  /// A zone is in one region: what one workload says of it holds for the others.
  private mutating func placeWorkloads() {
    for workload in workloads {
      let place = Locality(labels: workload.labels)
      if !place.zone.isEmpty, !place.region.isEmpty, regions[place.zone] == nil { regions[place.zone] = place.region }
    }
    for index in workloads.indices { workloads[index].locality = locality(of: workloads[index].labels) }
  }

  /// Where something with these labels runs.
  func locality(of labels: [String: String]) -> Locality {
    var place = Locality(labels: labels)
    if place.region.isEmpty { place.region = regions[place.zone] ?? "" }
    return place
  }

  func locality(ofZone zone: String) -> Locality { Locality(region: regions[zone] ?? "", zone: zone) }

  /// A workload registered for a service that no manifest describes brings the service along: its ports are those of
  /// its workloads, and port 80, where none of them listens on it, is the first port of each.
  private mutating func addImplicitServices() {
    var implicit: [ServiceName: [EffectiveWorkload]] = [:]
    for workload in workloads {
      guard let service = workload.service else { continue }
      let name = ServiceName(name: service, namespace: workload.namespace)
      // A name of another service has no workloads.
      if aliases[name] == nil, services[name] == nil { implicit[name, default: []].append(workload) }
    }
    for (name, workloads) in implicit {
      services[name] = EffectiveService(name: name, manifest: nil, ports: Self.implicitPorts(of: workloads))
    }
  }

  static func implicitPorts(of workloads: [EffectiveWorkload]) -> [Service.Port] {
    var ports: [Service.Port] = []
    for port in workloads.flatMap(\.ports) where !ports.contains(where: { $0.port == port.port }) {
      ports.append(Service.Port(name: "p\(port.port)", port: port.port))
    }
    if !ports.contains(where: { $0.port == 80 }) {
      ports.append(Service.Port(name: "http", port: 80, targetPort: .name("http")))
    }
    return ports.sorted { $0.port < $1.port }
  }

  private mutating func addMembers() {
    let byNamespace = Dictionary(grouping: services.values, by: \.name.namespace)
    for workload in workloads {
      for service in byNamespace[workload.namespace] ?? [] {
        if service.isServed(by: workload) {
          services[service.name]?.members.append(workload)
        } else if let warning = service.selectorWarning(of: workload) {
          selectorWarnings[service.name, default: []].append(warning)
        }
      }
    }
  }

  private mutating func addSlices(
    _ slices: [(key: ResourceKey, slice: EndpointSlice)], _ snapshot: Snapshot, _ warnings: inout [ManifestProblem]
  ) {
    for (key, slice) in slices {
      guard let service = slice.service else { continue }
      let name = ServiceName(name: service, namespace: key.namespace)
      if services[name] != nil {
        services[name]?.slices.append(slice)
      } else if let located = snapshot.manifests[key] {
        warnings.append(
          located.warning(
            "metadata.labels", "there is no Service \(key.namespace)/\(service)", code: .sliceWithoutService))
      }
    }
  }
}

extension Located {
  /// A warning about a manifest's object.
  func warning(
    _ field: String, _ message: String, fix: String = "", key: ResourceKey, code: FindingCode? = nil
  ) -> ManifestProblem {
    ManifestProblem(
      position: position, object: key.description, field: field, message: message, fix: fix, severity: .warning,
      key: key, code: code)
  }
}

extension Located<Resource> {
  func warning(
    _ field: String, _ message: String, fix: String = "", code: FindingCode? = nil
  ) -> ManifestProblem {
    warning(field, message, fix: fix, key: value.key, code: code)
  }
}

extension Located<Service> {
  func warning(
    _ field: String, _ message: String, fix: String = "", code: FindingCode? = nil
  ) -> ManifestProblem {
    warning(field, message, fix: fix, key: Resource.service(value).key, code: code)
  }
}

extension SocketAddress {
  func withPort(_ port: UInt16) -> SocketAddress { SocketAddress(high: high, low: low, port: port) }
}
