import MeshCore
package import MeshPolicy
import SwiftProtobuf

func convertMeshTLS(_ text: String) throws(ConversionError) -> MeshTLSMode {
  if text.isEmpty { return .standard }
  guard let mode = MeshTLSMode(rawValue: text) else {
    throw ConversionError(field: "mesh_tls", problem: "\"\(text.prefix(64))\" is no mode")
  }
  return mode
}

extension InboundPort {
  func with(meshTLS mode: MeshTLSMode) -> InboundPort {
    var port = self
    port.meshTLS = mode
    return port
  }
}

extension EgressPolicy {
  package init(_ message: Apus_V1_Egress, limits: ConversionLimits = .standard) throws(ConversionError) {
    self.init(
      mode: message.registryOnly ? .registryOnly : .allowAny,
      allow: try Self.rules(message.allow, "egress.allow", limits),
      deny: try Self.rules(message.deny, "egress.deny", limits))
  }

  private static func rules(
    _ rules: [Apus_V1_EgressRule], _ field: String, _ limits: ConversionLimits
  ) throws(ConversionError) -> [Rule] {
    try limits.check(rules.count, atMost: limits.maximumEgressRules, field)
    return try convertEach(rules, field) { rule throws(ConversionError) in
      try limits.check(rule.hosts.count, atMost: limits.maximumPairs, "hosts")
      for host in rule.hosts { try limits.check(host, "hosts") }
      return Rule(
        hosts: rule.hosts,
        ports: try convertEach(rule.ports, "ports") { port throws(ConversionError) in try convertPort(port, "port") },
        name: rule.name)
    }
  }
}

// MARK: - To the wire

extension Apus_V1_Egress {
  package init(_ policy: EgressPolicy) {
    self.init()
    registryOnly = policy.mode == .registryOnly
    allow = policy.allow.map(Apus_V1_EgressRule.init)
    deny = policy.deny.map(Apus_V1_EgressRule.init)
  }
}

extension Apus_V1_EgressRule {
  fileprivate init(_ rule: EgressPolicy.Rule) {
    self.init()
    hosts = rule.hosts
    ports = rule.ports.map(UInt32.init)
    name = rule.name
  }
}
