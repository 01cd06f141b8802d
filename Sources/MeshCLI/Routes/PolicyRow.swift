package import MeshAPI
package import MeshCore

/// One setting of a TrafficPolicy that is in force somewhere, with its source.
package struct PolicyRow: Hashable, Encodable, Sendable {
  /// `balancer.algorithm`.
  package var field: String
  package var value: String
  /// `TrafficPolicy shop/orders`.
  package var policy: String
  /// `mesh`, `namespace`, `service`, `port`, `route` or `rule`: what the policy is for.
  package var level: String
  /// File and line.
  package var source: String

  package init(field: String, value: String, policy: String, level: String, source: String) {
    self.field = field
    self.value = value
    self.policy = policy
    self.level = level
    self.source = source
  }

  package init(_ entry: Apus_V1_PolicyEntry) {
    self.init(
      field: entry.field, value: entry.value, policy: entry.policy, level: entry.level,
      source: "\(entry.file):\(entry.line)")
  }

  package var text: String { "\(field): \(value)  (\(policy), for the \(level), \(source))" }
}

/// A service port's endpoints, or a rule of it.
package struct PolicyPlace: Hashable, Sendable {
  package var port: ServicePort
  /// Empty: the endpoints.
  package var rule: String

  package init(port: ServicePort, rule: String = "") {
    self.port = port
    self.rule = rule
  }
}
