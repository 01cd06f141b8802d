/// Why a rule does not match a call.
package struct AuthorizationMismatch: Hashable, Sendable {
  package enum Part: String, Hashable, Sendable {
    case from, to, when
    /// The call is a byte stream, and the rule asks for attributes of a request.
    case noRequest
  }

  /// Index in `Authorization.policies`, and of the rule in it.
  package var policy: Int
  package var rule: Int
  package var part: Part
}

extension Authorizer {
  /// Of each rule of the `allow` policies, what does not hold.
  package func mismatches(_ call: AuthorizationCall) -> [AuthorizationMismatch] {
    allow.flatMap { policy in
      policy.rules.enumerated().compactMap { index, rule in
        rule.mismatch(call, unknown: false).map { AuthorizationMismatch(policy: policy.index, rule: index, part: $0) }
      }
    }
  }

  /// The rule of a `deny` policy that matches.
  package func denyingRule(of policy: Int, _ call: AuthorizationCall) -> Int? {
    deny.first { $0.index == policy }?.rules.firstIndex { $0.matches(call, unknown: true) }
  }
}
