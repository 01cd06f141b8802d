package import MeshPolicy

/// A Kubernetes `v1 Service`: a name, its ports, and a selector for the workloads behind it.
package struct Service: Hashable, Sendable {
  package var metadata: ObjectMetadata
  package var ports: [Port]
  /// Empty: the endpoints are written by hand, in EndpointSlices.
  package var selector: [String: String]
  /// Endpoints count as ready from the start.
  package var publishNotReadyAddresses: Bool
  /// `clusterIP: None`: in a cluster its name stands for the addresses of its endpoints, and clients go to one of them.
  package var isHeadless: Bool
  /// Of type ExternalName: the name of what this name stands for. Nil for every other type.
  package var externalName: String?
  /// `trafficDistribution` says that clients use the endpoints of their own zone first.
  package var prefersOwnZone: Bool

  package init(
    metadata: ObjectMetadata, ports: [Port], selector: [String: String] = [:], publishNotReadyAddresses: Bool = false,
    isHeadless: Bool = false, externalName: String? = nil, prefersOwnZone: Bool = false
  ) {
    self.prefersOwnZone = prefersOwnZone
    self.isHeadless = isHeadless
    self.externalName = externalName
    self.metadata = metadata
    self.ports = ports
    self.selector = selector
    self.publishNotReadyAddresses = publishNotReadyAddresses
  }

  package struct Port: Hashable, Sendable {
    /// Empty only when the service has a single port.
    package var name: String
    package var port: UInt16
    package var targetPort: TargetPort
    package var appProtocol: AppProtocol

    package init(name: String = "", port: UInt16, targetPort: TargetPort? = nil, appProtocol: AppProtocol = .http) {
      self.name = name
      self.port = port
      self.targetPort = targetPort ?? .number(port)
      self.appProtocol = appProtocol
    }
  }
}

/// The workload's side of a service port.
package enum TargetPort: Hashable, Sendable, CustomStringConvertible {
  case number(UInt16)
  case name(String)

  package var description: String {
    switch self {
    case .number(let number): "\(number)"
    case .name(let name): name
    }
  }
}

/// A port of a workload. `name` is empty when it has none.
package struct WorkloadPort: Hashable, Sendable {
  package var name: String
  package var port: UInt16

  package init(name: String = "", port: UInt16) {
    self.name = name
    self.port = port
  }
}

/// A Kubernetes `v1 ServiceAccount`: an identity that workloads run as.
package struct ServiceAccount: Hashable, Sendable {
  package var metadata: ObjectMetadata

  package init(metadata: ObjectMetadata) { self.metadata = metadata }
}
