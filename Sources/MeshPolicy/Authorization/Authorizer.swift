package import MeshCore
import MeshHTTP

/// The rules of one port, compiled. Decisions are pure: what a call is goes in, what becomes of it comes out.
///
/// What is unknown of a call is decided to the safe side, as in Istio: of a byte stream no condition on requests holds in an `allow`
/// or `audit` rule, and every one in a `deny` or `custom` rule. A caller without identity, or a request without a token, has
/// none of the `values` asked for; `notValues` hold for it in `deny` and `custom` rules only.
package struct Authorizer: Sendable {
  package let authorization: Authorization
  private var custom: [Policy]
  private(set) var deny: [Policy]
  private(set) var allow: [Policy]
  private var audits: [Policy]
  /// Then what none of them matches is denied, though none of them may concern the caller.
  private let hasAllow: Bool
  /// The first policy with a mistake, which closes the port.
  private let broken: Int?
  /// Some rule looks at paths, which therefore have to be canonical.
  package let readsPaths: Bool

  struct Policy: Sendable {
    let index: Int
    var rules: [CompiledAuthorizationRule]
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
    hasAllow = !allow.isEmpty
    broken = authorization.policies.firstIndex(where: \.isBroken)
    readsPaths = authorization.policies.contains { policy in
      policy.rules.contains { $0.operations.contains { !$0.paths.isEmpty } }
    }
  }

  package var hasAudits: Bool { !audits.isEmpty }
  package var asksProviders: Bool { !custom.isEmpty }

  /// `asked`: the index of the policy whose provider has allowed the call; those before it are not asked again.
  package func decide(_ call: AuthorizationCall, after asked: Int = -1) -> AuthorizationDecision {
    if let broken { return AuthorizationDecision(verdict: .deny, cause: .broken, policy: broken) }
    for policy in custom where policy.index > asked && policy.matches(call, unknown: true) {
      return AuthorizationDecision(verdict: .ask, cause: .rule, policy: policy.index)
    }
    for policy in deny where policy.matches(call, unknown: true) {
      return AuthorizationDecision(verdict: .deny, cause: .rule, policy: policy.index)
    }
    for policy in allow where policy.matches(call, unknown: false) {
      return AuthorizationDecision(verdict: .allow, cause: .rule, policy: policy.index)
    }
    if hasAllow { return AuthorizationDecision(verdict: .deny, cause: .nothingAllows) }
    let isAllowed =
      switch authorization.mode {
      case .allow: true
      case .meshOnly: call.caller.identity != nil
      case .deny: false
      }
    return AuthorizationDecision(verdict: isAllowed ? .allow : .deny, cause: .mode)
  }

  /// The same decisions for calls of everyone with this identity (nil: without one), with less to look at: what rules ask of it is
  /// answered here, and rules that it does not meet are left out.
  package func narrowed(to identity: SPIFFEID?) -> Authorizer {
    let caller = CallerFacts(identity: identity, address: nil)
    func narrow(_ policies: inout [Policy], unknown: Bool) {
      for i in policies.indices {
        policies[i].rules = policies[i].rules.compactMap { $0.narrowed(to: caller, unknown: unknown) }
      }
    }
    var result = self
    narrow(&result.custom, unknown: true)
    narrow(&result.deny, unknown: true)
    narrow(&result.allow, unknown: false)
    // These are told of though they do not match.
    narrow(&result.audits, unknown: false)
    result.custom.removeAll(where: \.rules.isEmpty)
    result.deny.removeAll(where: \.rules.isEmpty)
    result.allow.removeAll(where: \.rules.isEmpty)
    return result
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
