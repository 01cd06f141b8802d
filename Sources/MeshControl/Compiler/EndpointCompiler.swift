import MeshCore
import MeshPolicy
import MeshResources

/// Finds the endpoints of service ports, and with them what each workload's proxy serves.
struct EndpointCompiler {
  let table: ServiceTable
  let meshTLS: MeshTLSTable
  /// For each registered workload, its ports as services use them.
  private(set) var inbound: [String: [UInt16: InboundPort]] = [:]
  /// For each of those ports, every service port that leads to it.
  private(set) var servicePorts: [String: [UInt16: Set<ServicePort>]] = [:]
  /// What would serve a port and is not ready.
  private(set) var unready: [ServicePort: [Endpoint]] = [:]
  private(set) var warnings: [ServiceName: [ManifestProblem]] = [:]

  init(table: ServiceTable, meshTLS: MeshTLSTable) {
    self.table = table
    self.meshTLS = meshTLS
  }

  /// The endpoints of one port, ordered by address, each address once.
  mutating func endpoints(of service: EffectiveService, _ port: Service.Port) -> EndpointSet {
    let key = ServicePort(service: service.name, port: port.port)
    let includeUnready = service.manifest?.value.publishNotReadyAddresses ?? false
    var found: [SocketAddress: Endpoint] = [:]
    for workload in service.members {
      guard let number = endpointPort(of: workload, service, port) else { continue }
      note(workload, number, port, key)
      let address = workload.address.withPort(number)
      guard workload.ready || includeUnready else {
        unready[key, default: []].append(endpoint(address, workload))
        continue
      }
      if found[address] == nil { found[address] = endpoint(address, workload) }
    }
    for (address, slice) in sliceEndpoints(service, port) {
      if let known = found[address] {
        if known.locality.zone.isEmpty { found[address]?.locality = table.locality(ofZone: slice.zone) }
        continue
      }
      if let workload = table.workloadsByHost[address.withPort(0)] {
        note(workload, address.port, port, key)
        var place = endpoint(address, workload)
        if place.locality.zone.isEmpty { place.locality = table.locality(ofZone: slice.zone) }
        found[address] = place
      } else {
        let name = slice.workload.isEmpty ? address.host : slice.workload
        found[address] = Endpoint(
          address: address, workload: name, identity: nil, locality: table.locality(ofZone: slice.zone))
      }
    }
    let ordered = found.values.sorted {
      ($0.address.high, $0.address.low, $0.address.port) < ($1.address.high, $1.address.low, $1.address.port)
    }
    return EndpointSet(key: key, endpoints: ordered, appProtocol: port.appProtocol)
  }

  private func endpoint(_ address: SocketAddress, _ workload: EffectiveWorkload) -> Endpoint {
    // Where mutual TLS is switched off the program itself is called, as one that has no proxy.
    let isDisabled = meshTLS.word(for: workload, port: address.port).mode == .disabled
    return Endpoint(
      address: address, workload: workload.name, identity: isDisabled ? nil : workload.identity,
      labels: workload.labels,
      weight: workload.weight, locality: workload.locality, healthCheck: workload.healthCheck)
  }

  /// The ready addresses of the slices, else those that still serve while they terminate.
  private func sliceEndpoints(
    _ service: EffectiveService, _ port: Service.Port
  ) -> [(SocketAddress, EndpointSlice.Endpoint)] {
    var ready: [(SocketAddress, EndpointSlice.Endpoint)] = []
    var leaving: [(SocketAddress, EndpointSlice.Endpoint)] = []
    for slice in service.slices {
      for slicePort in slice.ports where slicePort.name == port.name {
        for endpoint in slice.endpoints {
          let address = endpoint.address.withPort(slicePort.port)
          if endpoint.ready {
            ready.append((address, endpoint))
          } else if endpoint.serving, endpoint.terminating {
            leaving.append((address, endpoint))
          }
        }
      }
    }
    return ready.isEmpty ? leaving : ready
  }

  private mutating func endpointPort(
    of workload: EffectiveWorkload, _ service: EffectiveService, _ port: Service.Port
  ) -> UInt16? {
    guard let manifest = service.manifest else {
      // Port 80 of an implicit service is each workload's first port.
      if case .name = port.targetPort { return workload.ports.first?.port }
      return workload.ports.contains { $0.port == port.port } ? port.port : nil
    }
    if let number = workload.port(for: port, ofMany: service.ports.count) { return number }
    let declared = workload.ports.map { "\($0.port)" }.joined(separator: ", ")
    warnings[service.name, default: []].append(
      manifest.warning(
        "spec.ports",
        "port \(port.port) leads to \(port.targetPort), but the workload \(workload.name) has \(declared)",
        fix: "run the workload with --port \(port.targetPort), or change targetPort", code: .targetPortNotFound))
    return nil
  }

  /// Remembers that a workload's port serves a service port. The service it was registered for goes first in metrics.
  private mutating func note(_ workload: EffectiveWorkload, _ number: UInt16, _ port: Service.Port, _ key: ServicePort)
  {
    guard workload.isRegistered else { return }
    servicePorts[workload.name, default: [:]][number, default: []].insert(key)
    let old = inbound[workload.name]?[number]
    if let oldKey = old?.service {
      let isOwn = key.service.name == workload.service
      let wasOwn = oldKey.service.name == workload.service
      guard isOwn == wasOwn ? key < oldKey : isOwn else { return }
    }
    inbound[workload.name, default: [:]][number] = InboundPort(
      port: number, appProtocol: port.appProtocol, service: key)
  }
}
