import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

/// Builds snapshots from manifest text and workloads.
enum MeshFixture {
  static func snapshot(_ manifests: String, workloads: [RegisteredWorkload] = []) -> Snapshot {
    let result = ManifestParser.parse(file: "mesh.yaml", text: manifests)
    #expect(result.errors.filter { $0.severity == .error } == [])
    var objects: [ResourceKey: Located<Resource>] = [:]
    for object in result.objects { objects[object.value.key] = object }
    return Snapshot(manifests: objects, workloads: workloads)
  }

  static func workload(
    _ name: String, service: String, host: UInt8, ports: [UInt16] = [8080], labels: [String: String] = [:],
    ready: Bool = true
  ) -> RegisteredWorkload {
    RegisteredWorkload(
      name: name, namespace: "shop", service: service, serviceAccount: service,
      address: SocketAddress(ipv4: 0x7F42_0000 | UInt32(host), port: 0), ports: ports, labels: labels, ready: ready,
      identity: SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: service))
  }

  static func service(
    _ name: String, selector: String, ports: String = "[{name: http, port: 80, targetPort: 8080}]"
  ) -> String {
    """
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: \(name), namespace: shop}
    spec: {selector: \(selector), ports: \(ports)}

    """
  }

  /// `parents` are what follows the group and kind of each, such as `name: orders, port: 80`.
  static func route(
    _ name: String, kind: String = "HTTPRoute", namespace: String = "shop", created: String? = nil,
    parents: [String] = ["name: orders"], rules: String
  ) -> String {
    """
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: \(kind)
    metadata: {name: \(name), namespace: \(namespace), creationTimestamp: \(created ?? "null")}
    spec:
      parentRefs: [\(parents.map { "{group: \"\", kind: Service, \($0)}" }.joined(separator: ", "))]
      rules: \(rules)

    """
  }

  /// `targets` are the insides of the entries of `targetRefs`.
  static func policy(
    _ name: String, targets: [String], _ blocks: String, namespace: String = "shop", created: String? = nil
  ) -> String {
    """
    ---
    apiVersion: mesh.apus.dev/v1alpha1
    kind: TrafficPolicy
    metadata: {name: \(name), namespace: \(namespace), creationTimestamp: \(created ?? "null")}
    spec:
      targetRefs: [\(targets.map { "{\($0)}" }.joined(separator: ", "))]
      \(blocks)

    """
  }

  static func split(_ name: String = "orders", _ backends: String) -> String {
    """
    ---
    apiVersion: split.smi-spec.io/v1alpha4
    kind: TrafficSplit
    metadata: {name: \(name), namespace: shop}
    spec: {service: orders, backends: \(backends)}

    """
  }

  static let orders =
    service("orders", selector: "{app: orders}") + service("orders-v1", selector: "{app: orders, version: v1}")
    + service("orders-v2", selector: "{app: orders, version: v2}")

  /// Those, one workload of the first version, and `manifests`.
  static func compileWithOrders(_ manifests: String) -> CompiledMesh {
    let first = workload("w", service: "orders", host: 3, labels: ["app": "orders", "version": "v1"])
    return MeshCompiler.compile(snapshot(orders + manifests, workloads: [first]))
  }

  static func port(_ service: String, _ port: UInt16 = 80) -> ServicePort {
    ServicePort(service: ServiceName(name: service, namespace: "shop"), port: port)
  }
}
