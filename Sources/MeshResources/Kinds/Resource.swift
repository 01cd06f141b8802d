/// What identifies an object: its version is not part of it.
package struct ResourceKey: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var group: String
  package var kind: String
  package var namespace: String
  package var name: String

  package init(group: String, kind: String, namespace: String, name: String) {
    self.group = group
    self.kind = kind
    self.namespace = namespace
    self.name = name
  }

  /// `HTTPRoute shop/orders`.
  package var description: String { "\(kind) \(namespace)/\(name)" }

  /// With the newest version that Apus reads, such as `split.smi-spec.io/v1alpha4`.
  package var apiVersion: String {
    let version = KindTable.supported.first { $0.group == group && $0.kind == kind }?.versions.first ?? "v1"
    return group.isEmpty ? version : "\(group)/\(version)"
  }

  package static func < (a: ResourceKey, b: ResourceKey) -> Bool {
    (a.group, a.kind, a.namespace, a.name) < (b.group, b.kind, b.namespace, b.name)
  }
}

/// The parts of `metadata` that mean something to the mesh.
package struct ObjectMetadata: Hashable, Sendable {
  package var name: String
  package var namespace: String
  package var labels: [String: String]
  package var annotations: [String: String]
  /// Seconds since 1970; nil in a file that never was in a cluster. Older routes win ties.
  package var creationTime: Int64?
  /// Counts the changes of the spec in a cluster; nil in a file that never was in one.
  package var generation: Int64?

  package init(
    name: String, namespace: String = "default", labels: [String: String] = [:],
    annotations: [String: String] = [:], creationTime: Int64? = nil, generation: Int64? = nil
  ) {
    self.name = name
    self.namespace = namespace
    self.labels = labels
    self.annotations = annotations
    self.creationTime = creationTime
    self.generation = generation
  }
}

/// One decoded, defaulted and validated object.
package enum Resource: Hashable, Sendable {
  case service(Service)
  case endpointSlice(EndpointSlice)
  case serviceAccount(ServiceAccount)
  case workload(Workload)
  case httpRoute(HTTPRoute)
  case grpcRoute(GRPCRoute)
  case tcpRoute(TCPRoute)
  case tlsRoute(TLSRoute)
  case udpRoute(UDPRoute)
  case referenceGrant(ReferenceGrant)
  case trafficSplit(TrafficSplit)
  case httpRouteGroup(HTTPRouteGroup)
  /// SMI's TCPRoute and UDPRoute.
  case portRoute(PortRoute)
  case trafficPolicy(TrafficPolicy)
  case faultInjection(FaultInjection)
  case requestAuthentication(RequestAuthentication)
  case externalService(ExternalService)
  case backendTLSPolicy(BackendTLSPolicy)
  case meshTLS(MeshTLS)
  case meshConfig(MeshConfig)
  case configMap(ConfigMap)
  case trafficTarget(TrafficTarget)
  case identityBinding(IdentityBinding)
  case externalAuthorizer(DeclaredAuthorizer)
  case authorizationPolicy(DeclaredAuthorization)

  package var metadata: ObjectMetadata {
    switch self {
    case .service(let service): service.metadata
    case .endpointSlice(let slice): slice.metadata
    case .serviceAccount(let account): account.metadata
    case .workload(let workload): workload.metadata
    case .httpRoute(let route): route.metadata
    case .grpcRoute(let route): route.metadata
    case .tcpRoute(let route): route.metadata
    case .tlsRoute(let route): route.metadata
    case .udpRoute(let route): route.metadata
    case .referenceGrant(let grant): grant.metadata
    case .trafficSplit(let split): split.metadata
    case .httpRouteGroup(let group): group.metadata
    case .portRoute(let route): route.metadata
    case .trafficPolicy(let policy): policy.metadata
    case .faultInjection(let fault): fault.metadata
    case .requestAuthentication(let policy): policy.metadata
    case .externalService(let service): service.metadata
    case .backendTLSPolicy(let policy): policy.metadata
    case .meshTLS(let policy): policy.metadata
    case .meshConfig(let config): config.metadata
    case .configMap(let map): map.metadata
    case .trafficTarget(let target): target.metadata
    case .identityBinding(let binding): binding.metadata
    case .externalAuthorizer(let authorizer): authorizer.metadata
    case .authorizationPolicy(let policy): policy.metadata
    }
  }

  package var key: ResourceKey {
    let (group, kind) =
      switch self {
      case .service: ("", "Service")
      case .endpointSlice: ("discovery.k8s.io", "EndpointSlice")
      case .serviceAccount: ("", "ServiceAccount")
      case .workload: ("mesh.apus.dev", "Workload")
      case .httpRoute: ("gateway.networking.k8s.io", "HTTPRoute")
      case .grpcRoute: ("gateway.networking.k8s.io", "GRPCRoute")
      case .tcpRoute: ("gateway.networking.k8s.io", "TCPRoute")
      case .tlsRoute: ("gateway.networking.k8s.io", "TLSRoute")
      case .udpRoute: ("gateway.networking.k8s.io", "UDPRoute")
      case .referenceGrant: ("gateway.networking.k8s.io", "ReferenceGrant")
      case .trafficSplit: ("split.smi-spec.io", "TrafficSplit")
      case .httpRouteGroup: ("specs.smi-spec.io", "HTTPRouteGroup")
      case .portRoute(let route): ("specs.smi-spec.io", "\(route.transport.rawValue)Route")
      case .trafficPolicy: ("mesh.apus.dev", "TrafficPolicy")
      case .faultInjection: ("mesh.apus.dev", "FaultInjection")
      case .requestAuthentication: ("mesh.apus.dev", "RequestAuthentication")
      case .externalService: ("mesh.apus.dev", "ExternalService")
      case .backendTLSPolicy: ("gateway.networking.k8s.io", "BackendTLSPolicy")
      case .meshTLS: ("mesh.apus.dev", "MeshTLS")
      case .meshConfig: ("mesh.apus.dev", "MeshConfig")
      case .configMap: ("", "ConfigMap")
      case .trafficTarget: ("access.smi-spec.io", "TrafficTarget")
      case .identityBinding: ("access.smi-spec.io", "IdentityBinding")
      case .externalAuthorizer: ("mesh.apus.dev", "ExternalAuthorizer")
      case .authorizationPolicy: ("mesh.apus.dev", "AuthorizationPolicy")
      }
    return ResourceKey(group: group, kind: kind, namespace: metadata.namespace, name: metadata.name)
  }
}
