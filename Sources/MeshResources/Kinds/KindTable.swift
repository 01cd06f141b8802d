/// Which `apiVersion` and `kind` mean what.
enum KindTable {
  enum Entry {
    case supported(canonicalGroup: String, version: String)
    /// Part of a cluster, and without a meaning here.
    case unused
    /// Of an API that Apus serves in part.
    case later
    case unknown
  }

  /// Group, kind, versions; as told to people.
  static let supported: [(group: String, kind: String, versions: [String])] = [
    ("", "ConfigMap", ["v1"]),
    ("access.smi-spec.io", "IdentityBinding", ["v1alpha4"]),
    ("access.smi-spec.io", "TrafficTarget", ["v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"]),
    ("", "Service", ["v1"]),
    ("", "ServiceAccount", ["v1"]),
    ("discovery.k8s.io", "EndpointSlice", ["v1"]),
    ("gateway.networking.k8s.io", "BackendTLSPolicy", ["v1", "v1alpha3"]),
    ("gateway.networking.k8s.io", "GRPCRoute", ["v1"]),
    ("gateway.networking.k8s.io", "HTTPRoute", ["v1", "v1beta1"]),
    ("gateway.networking.k8s.io", "ReferenceGrant", ["v1", "v1beta1"]),
    ("gateway.networking.k8s.io", "TCPRoute", ["v1", "v1alpha2"]),
    ("gateway.networking.k8s.io", "TLSRoute", ["v1", "v1alpha3", "v1alpha2"]),
    ("gateway.networking.k8s.io", "UDPRoute", ["v1", "v1alpha2"]),
    ("mesh.apus.dev", "ExternalAuthorizer", ["v1alpha1"]),
    ("mesh.apus.dev", "AuthorizationPolicy", ["v1alpha1"]),
    ("mesh.apus.dev", "ExternalService", ["v1alpha1"]),
    ("mesh.apus.dev", "FaultInjection", ["v1alpha1"]),
    ("mesh.apus.dev", "MeshConfig", ["v1alpha1"]),
    ("mesh.apus.dev", "MeshTLS", ["v1alpha1"]),
    ("mesh.apus.dev", "RequestAuthentication", ["v1alpha1"]),
    ("mesh.apus.dev", "TrafficPolicy", ["v1alpha1"]),
    ("mesh.apus.dev", "Workload", ["v1alpha1"]),
    ("specs.smi-spec.io", "HTTPRouteGroup", ["v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"]),
    ("specs.smi-spec.io", "TCPRoute", ["v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"]),
    ("specs.smi-spec.io", "UDPRoute", ["v1alpha4"]),
    ("split.smi-spec.io", "TrafficSplit", ["v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"]),
  ]

  private static let unusedCoreKinds: Set<String> = [
    "Namespace", "Secret", "Pod", "PodTemplate", "PersistentVolume", "PersistentVolumeClaim", "Node",
    "Endpoints", "ReplicationController", "LimitRange", "ResourceQuota", "Event",
  ]
  private static let unusedGroups: Set<String> = [
    "apps", "batch", "autoscaling", "policy", "rbac.authorization.k8s.io", "networking.k8s.io", "storage.k8s.io",
    "apiextensions.k8s.io", "scheduling.k8s.io", "admissionregistration.k8s.io", "coordination.k8s.io",
    "apiregistration.k8s.io", "monitoring.coreos.com", "kustomize.config.k8s.io", "events.k8s.io",
  ]
  private static let laterGroups: Set<String> = [
    "gateway.networking.k8s.io", "gateway.networking.x-k8s.io", "mesh.apus.dev", "split.smi-spec.io",
    "specs.smi-spec.io", "metrics.smi-spec.io",
  ]

  static func entry(group: String, version: String, kind: String) -> Entry {
    if let row = supported.first(where: { $0.group == group && $0.kind == kind }) {
      return row.versions.contains(version) ? .supported(canonicalGroup: group, version: version) : .unknown
    }
    if group.isEmpty ? unusedCoreKinds.contains(kind) : unusedGroups.contains(group) { return .unused }
    return laterGroups.contains(group) && nearestKind(kind) == nil ? .later : .unknown
  }

  /// A kind that was likely meant, with the version to write.
  static func fix(group: String, kind: String) -> String {
    if let row = supported.first(where: { $0.kind == kind }) {
      return "write apiVersion: \(row.group.isEmpty ? "" : row.group + "/")\(row.versions[0])"
    }
    if let nearest = nearestKind(kind) { return "did you mean kind: \(nearest)?" }
    return "supported: "
      + supported.map { "\($0.kind) (\($0.group.isEmpty ? "" : $0.group + "/")\($0.versions[0]))" }
      .joined(separator: ", ")
  }

  private static func nearestKind(_ kind: String) -> String? {
    // Kinds of their own, not slips of the pen.
    let others = ["TCPRoute", "TLSRoute", "UDPRoute", "HTTPRouteGroup"]
    return others.contains(kind) ? nil : Suggestion.nearest(to: kind, among: supported.map(\.kind))
  }
}
