import MeshCore
package import MeshPolicy
import SwiftProtobuf

extension WorkloadConfig {
  package init(_ message: Apus_V1_Workload, limits: ConversionLimits = .standard) throws(ConversionError) {
    try limits.check(message.name, "name")
    guard ServiceName.isLabel(message.namespace) else {
      throw ConversionError(field: "namespace", problem: "\"\(message.namespace.prefix(64))\" is no namespace")
    }
    try limits.check(message.zone, "zone", allowEmpty: true)
    try limits.check(message.region, "region", allowEmpty: true)
    try limits.check(message.ports.count, atMost: limits.maximumInboundPorts, "ports")
    self.init(
      name: message.name,
      namespace: message.namespace,
      identity: try convertIdentity(message.identity, "identity"),
      ports: try convertEach(message.ports, "ports") { port throws(ConversionError) in
        InboundPort(
          port: try convertPort(port.port, "port"),
          appProtocol: try convertAppProtocol(port.appProtocol),
          service: port.service.isEmpty ? nil : try convertServicePort(port.service, "service"),
          rateLimits: try convertRateLimits(port.rateLimits, limits: limits),
          globalRateLimit: port.hasGlobalRateLimit
            ? try GlobalRateLimit(port.globalRateLimit, limits: limits) : nil,
          requestBody: port.hasRequestBody ? RequestBodyPolicy(port.requestBody) : nil,
          adaptiveConcurrency: try convertAdaptiveConcurrency(port),
          compression: try convertCompression(port, limits: limits),
          longestIdle: port.hasLongestIdleMs
            ? try convertTimeSpan(port.longestIdleMs, "longest_idle_ms") ?? .zero : nil,
          authorization: port.hasAuthorization ? try Authorization(port.authorization, limits: limits) : nil
        ).with(meshTLS: try convertMeshTLS(port.meshTls))
      },
      locality: Locality(region: message.region, zone: message.zone))
    for (index, port) in message.ports.enumerated() where port.hasTokens {
      ports[index].tokens = try TokenPolicy(port.tokens, limits: limits)
    }
    if message.hasEgress { egress = try EgressPolicy(message.egress, limits: limits) }
  }
}

// MARK: - To the wire

extension Apus_V1_Workload {
  package init(_ config: WorkloadConfig) {
    self.init()
    name = config.name
    namespace = config.namespace
    identity = config.identity.description
    zone = config.locality.zone
    region = config.locality.region
    if config.egress != EgressPolicy() { egress = Apus_V1_Egress(config.egress) }
    ports = config.ports.map { port in
      var message = Apus_V1_InboundPort()
      message.port = UInt32(port.port)
      message.appProtocol = port.appProtocol.rawValue
      message.service = port.service?.description ?? ""
      message.rateLimits = port.rateLimits.map(Apus_V1_RateLimit.init)
      if let idle = port.longestIdle { message.longestIdleMs = idle.wireMilliseconds }
      if let limit = port.globalRateLimit { message.globalRateLimit = Apus_V1_GlobalRateLimit(limit) }
      if let body = port.requestBody { message.requestBody = Apus_V1_RequestBody(body) }
      if let settings = port.adaptiveConcurrency {
        message.adaptiveConcurrency = Apus_V1_AdaptiveConcurrency(settings)
      }
      if let tokens = port.tokens { message.tokens = Apus_V1_TokenPolicy(tokens) }
      if port.meshTLS != .standard { message.meshTls = port.meshTLS.rawValue }
      if let policy = port.compression { message.compression = Apus_V1_Compression(policy) }
      if let authorization = port.authorization { message.authorization = Apus_V1_Authorization(authorization) }
      return message
    }
  }
}
