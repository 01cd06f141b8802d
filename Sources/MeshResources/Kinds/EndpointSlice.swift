package import MeshCore
package import MeshPolicy

/// A `discovery.k8s.io/v1 EndpointSlice`: endpoints of a service, written by hand or by another controller.
package struct EndpointSlice: Hashable, Sendable {
  package var metadata: ObjectMetadata
  /// From the label `kubernetes.io/service-name`; nil: the slice belongs to no service.
  package var service: String?
  package var endpoints: [Endpoint]
  /// Joined to the service's ports by name.
  package var ports: [WorkloadPort]

  package init(metadata: ObjectMetadata, service: String?, endpoints: [Endpoint], ports: [WorkloadPort]) {
    self.metadata = metadata
    self.service = service
    self.endpoints = endpoints
    self.ports = ports
  }

  package struct Endpoint: Hashable, Sendable {
    /// The first of `addresses`; its port is 0 and without meaning.
    package var address: SocketAddress
    package var ready: Bool
    package var serving: Bool
    package var terminating: Bool
    /// Name of the workload, for people: that of `targetRef`, else the hostname, else empty.
    package var workload: String
    /// Empty: not known. A slice knows no regions, and no labels of what is behind it.
    package var zone: String

    package init(
      address: SocketAddress, ready: Bool = true, serving: Bool = true, terminating: Bool = false,
      workload: String = "", zone: String = ""
    ) {
      self.zone = zone
      self.address = address
      self.ready = ready
      self.serving = serving
      self.terminating = terminating
      self.workload = workload
    }
  }
}

/// A `mesh.apus.dev/v1alpha1 Workload`: a program at a fixed address that no `apus run` registers.
package struct Workload: Hashable, Sendable {
  package var metadata: ObjectMetadata
  /// Its port is 0 and without meaning.
  package var address: SocketAddress
  package var ports: [WorkloadPort]
  /// The identity of the proxy beside the program. Nil: no proxy, so the mesh talks plaintext to it.
  package var serviceAccount: String?
  /// What selectors see: `metadata.labels` with `spec.labels` over them, and `spec.zone`.
  package var labels: [String: String]
  /// Its share of the requests, relative to the others'.
  package var weight: UInt32
  /// What whoever writes the object reports of it.
  package var ready: Bool
  /// How clients' proxies find out themselves. Nil: as a policy says.
  package var healthCheck: HealthCheckPolicy?

  package init(
    metadata: ObjectMetadata, address: SocketAddress, ports: [WorkloadPort], serviceAccount: String?,
    labels: [String: String], weight: UInt32 = 1, ready: Bool = true, healthCheck: HealthCheckPolicy? = nil
  ) {
    self.weight = weight
    self.ready = ready
    self.healthCheck = healthCheck
    self.metadata = metadata
    self.address = address
    self.ports = ports
    self.serviceAccount = serviceAccount
    self.labels = labels
  }
}
