import MeshCore
import MeshPolicy

extension WorkloadConfig {
  /// What the proxy beside `workload` serves: `inbound` as services use its ports, and those that none does.
  init(
    _ workload: RegisteredWorkload, _ inbound: [UInt16: InboundPort], _ policies: [ServicePort: EffectivePolicy],
    _ patience: StreamPatience
  ) {
    var ports = inbound
    for port in workload.ports where ports[port] == nil {
      let service = workload.service.map {
        ServicePort(service: ServiceName(name: $0, namespace: workload.namespace), port: port)
      }
      ports[port] = InboundPort(port: port, appProtocol: .http, service: service)
    }
    for (port, config) in ports {
      ports[port]?.longestIdle = patience.longestIdle(workload.name, port)
      guard let service = config.service, let policy = policies[service] else { continue }
      policy.apply(to: &ports[port, default: config])
    }
    self.init(
      name: workload.name, namespace: workload.namespace, identity: workload.identity,
      ports: ports.values.sorted { $0.port < $1.port })
  }
}
