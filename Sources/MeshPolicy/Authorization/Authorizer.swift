import MeshCore
import MeshHTTP

/// The rules of one port, compiled. Decisions are pure: what a call is goes in, what becomes of it comes out.
///
/// What is unknown of a call is decided to the safe side, as in Istio: of a byte stream no condition on requests holds in an `allow`
/// or `audit` rule, and every one in a `deny` or `custom` rule. A caller without identity, or a request without a token, has
/// none of the `values` asked for; `notValues` hold for it in `deny` and `custom` rules only.
package struct Authorizer: Sendable {
  package let authorization: Authorization
  private let custom: [Policy]
  let deny: [Policy]
  let allow: [Policy]
  private let audits: [Policy]
  /// Some rule looks at paths, which therefore have to be canonical.
  package let readsPaths: Bool

  struct Policy: Sendable {
    let index: Int
    let rules: [CompiledAuthorizationRule]
  }

  package init(_ authorization: Authorization) {
    self.authorization = authorization
    func policies(where belongs: (AuthorizationAction) -> Bool) -> [Policy] {
      authorization.policies.enumerated().filter { belongs($0.element.action) }.map { index, policy in
        Policy(index: index, rules: policy.rules.map(CompiledAuthorizationRule.init))
      }
    }
    custom = policies { if case .custom = $0 { true } else { false } }
    deny = policies { $0 == .deny }
    allow = policies { $0 == .allow }
    audits = policies { $0 == .audit }
    readsPaths = authorization.policies.contains { policy in
      policy.rules.contains { $0.operations.contains { !$0.paths.isEmpty } }
    }
  }

  package var hasAudits: Bool { !audits.isEmpty }
  package var asksProviders: Bool { !custom.isEmpty }

  /// `asked`: the index of the policy whose provider has allowed the call; those before it are not asked again.
  package func decide(_ call: AuthorizationCall, after asked: Int = -1) -> AuthorizationDecision {
    for policy in custom where policy.index > asked && policy.matches(call, unknown: true) {
      return AuthorizationDecision(verdict: .ask, cause: .rule, policy: policy.index)
    }
    for policy in deny where policy.matches(call, unknown: true) {
      return AuthorizationDecision(verdict: .deny, cause: .rule, policy: policy.index)
    }
    for policy in allow where policy.matches(call, unknown: false) {
      return AuthorizationDecision(verdict: .allow, cause: .rule, policy: policy.index)
    }
    if !allow.isEmpty { return AuthorizationDecision(verdict: .deny, cause: .nothingAllows) }
    let isAllowed =
      switch authorization.mode {
      case .allow: true
      case .meshOnly: call.caller.identity != nil
      case .deny: false
      }
    return AuthorizationDecision(verdict: isAllowed ? .allow : .deny, cause: .mode)
  }

  /// Tells of each `audit` policy, by its index, whether it matches.
  package func audit(_ call: AuthorizationCall, _ report: (Int, Bool) -> Void) {
    for policy in audits { report(policy.index, policy.matches(call, unknown: false)) }
  }
}

extension Authorizer.Policy {
  func matches(_ call: AuthorizationCall, unknown: Bool) -> Bool {
    for rule in rules where rule.matches(call, unknown: unknown) { return true }
    return false
  }
}
