import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources
import SwiftProtobuf

extension Apus_V1_WorkloadStatus {
  init(_ lease: WorkloadLease, _ proxy: ProxyStatus) {
    self.init()
    name = lease.name
    namespace = lease.request.namespace
    service = lease.request.service ?? ""
    address = lease.address.host
    identity = lease.identity.description
    ready = lease.ready && !lease.draining
    connected = proxy.connected
    sentVersion = proxy.sentVersion
    ackedVersion = proxy.ackedVersion
    rejected = proxy.rejection
    certificateNotAfter = proxy.certificateNotAfter
    processID = lease.request.processID
    ports = lease.request.ports.map(UInt32.init)
    labels = lease.request.labels
    proxyVersion = proxy.proxyVersion
    lastAckMs = proxy.lastAck
  }
}

extension Apus_V1_ManifestError {
  init(_ problem: ManifestProblem) {
    self.init()
    file = problem.file
    line = UInt32(clamping: problem.line)
    column = UInt32(clamping: problem.column)
    object = problem.object
    field = problem.field
    message = problem.message
    fix = problem.fix
    stale = problem.stale
    code = problem.code?.rawValue ?? ""
    warning = problem.severity == .warning
  }
}

extension CompiledMesh {
  /// One entry per service: its ports, the places behind all of them together, the rules of every port.
  var serviceStatuses: [Apus_V1_ServiceStatus] {
    let ports = Dictionary(grouping: services.keys, by: \.service)
    var consumerRules: [ServicePort: [RouteRule]] = [:]
    for (consumer, config) in consumers.sorted(by: { $0.key < $1.key }) {
      consumerRules[consumer.port, default: []] += config.rules
    }
    return ports.sorted { $0.key < $1.key }.map { service, keys in
      let keys = keys.sorted()
      var workloads: Set<SocketAddress> = []
      var routes: [String] = []
      for key in keys {
        for endpoint in endpoints[key]?.endpoints ?? [] {
          workloads.insert(SocketAddress(high: endpoint.address.high, low: endpoint.address.low, port: 0))
        }
        let rules = (services[key]?.rules ?? []) + (consumerRules[key] ?? [])
        for rule in rules where !routes.contains(rule.name) { routes.append(rule.name) }
      }
      return .with {
        $0.name = service.name
        $0.namespace = service.namespace
        $0.ports = keys.map { UInt32($0.port) }
        $0.endpoints = UInt32(workloads.count)
        $0.routes = routes
      }
    }
  }
}
