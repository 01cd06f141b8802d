package import MeshCore
package import MeshPolicy
import SwiftProtobuf

extension EndpointSet {
  /// Reads and validates the wire form of the endpoints behind `key`.
  package init(
    key: ServicePort, _ message: Apus_V1_Endpoints, limits: ConversionLimits = .standard
  ) throws(ConversionError) {
    try limits.check(message.endpoints.count, atMost: limits.maximumEndpoints, "endpoints")
    let policy: BackendPolicy
    do throws(ConversionError) {
      policy = try BackendPolicy(message.policy, limits: limits)
    } catch {
      throw error.inside("policy")
    }
    self.init(
      key: key,
      endpoints: try convertEach(message.endpoints, "endpoints") { endpoint throws(ConversionError) in
        try Endpoint(endpoint, limits: limits)
      },
      appProtocol: message.appProtocol.isEmpty ? .http : try convertAppProtocol(message.appProtocol),
      policy: policy)
    if message.hasTls { tls = try TLSOrigination(message.tls, limits: limits) }
    if message.hasNames {
      guard endpoints.isEmpty else { throw ConversionError(field: "names", problem: "stand beside endpoints") }
      names = try NameResolution(message.names, limits: limits)
    }
  }
}

extension Endpoint {
  init(_ message: Apus_V1_Endpoint, limits: ConversionLimits) throws(ConversionError) {
    guard message.address.utf8.count <= 64, let address = SocketAddress(message.address), address.port > 0,
      !address.isUnspecified
    else {
      throw ConversionError(field: "address", problem: "\"\(message.address.prefix(64))\" is not IP:PORT")
    }
    try limits.check(message.workload, "workload", allowEmpty: true)
    try limits.check(message.labels.count, atMost: limits.maximumPairs, "labels")
    try limits.check(message.zone, "zone", allowEmpty: true)
    try limits.check(message.region, "region", allowEmpty: true)
    let identity = message.identity.isEmpty ? nil : try convertIdentity(message.identity, "identity")
    var check: HealthCheckPolicy?
    do throws(ConversionError) {
      if message.hasHealthCheck { check = try HealthCheckPolicy(message.healthCheck, limits: limits) }
    } catch {
      throw error.inside("health_check")
    }
    // Without an identity the mesh port means nothing and 0 is fine.
    let meshPort = identity == nil && message.meshPort == 0 ? 0 : try convertPort(message.meshPort, "mesh_port")
    self.init(
      address: address, workload: message.workload, identity: identity, meshPort: meshPort, labels: message.labels,
      weight: max(message.weight, 1), locality: Locality(region: message.region, zone: message.zone),
      healthCheck: check)
  }
}

// MARK: - To the wire

extension Apus_V1_Endpoints {
  package init(_ set: EndpointSet) {
    self.init()
    endpoints = set.endpoints.map { endpoint in
      var message = Apus_V1_Endpoint()
      message.address = endpoint.address.description
      message.workload = endpoint.workload
      message.identity = endpoint.identity?.description ?? ""
      message.meshPort = UInt32(endpoint.meshPort)
      message.labels = endpoint.labels
      message.zone = endpoint.locality.zone
      message.region = endpoint.locality.region
      if let check = endpoint.healthCheck { message.healthCheck = Apus_V1_HealthCheck(check) }
      message.weight = endpoint.weight == 1 ? 0 : endpoint.weight
      return message
    }
    appProtocol = set.appProtocol.rawValue
    if let resolution = set.names {
      // What a proxy has found is its own affair.
      endpoints = []
      names = Apus_V1_NameResolution(resolution)
    }
    if let origination = set.tls { tls = Apus_V1_TlsOrigination(origination) }
    if set.policy != BackendPolicy() { policy = Apus_V1_BackendPolicy(set.policy) }
  }
}
