import MeshCore
import MeshPolicy
import Testing

/// The decision table (`AuthorizationGrids.swift`): every cell of every grid is one row of it.
@Suite("Decisions of authorization") struct AuthorizationTableTests {
  static let grids = modes + callers + requests + conditions + orders

  @Test("each cell of the table", arguments: grids) func cell(_ grid: Grid) {
    let authorizer = Authorizer(Authorization(mode: grid.mode, policies: grid.policies))
    for (caller, verdicts) in grid.verdicts {
      #expect(verdicts.count == grid.calls.count)
      for (text, verdict) in zip(grid.calls, verdicts) {
        let call = Calls.call(text, by: caller)
        let decision = authorizer.decide(call)
        let narrowed = authorizer.narrowed(to: call.caller.identity)
        #expect(narrowed.decide(call) == decision)
        let found: Character =
          switch decision.verdict {
          case .allow: "A"
          case .deny: "D"
          case .ask: "?"
          }
        #expect(found == verdict, "\(text) by \(caller)")
      }
    }
  }

  @Test("the table has 200 rows and more") func rows() { #expect(Self.grids.reduce(0) { $0 + $1.rows } >= 200) }

  // MARK: - Reasons

  @Test("the policy that decides is told") func reasons() {
    let policies = [
      Calls.policy("ask", .custom(provider: "opa"), AuthorizationRule(to: Self.to([.prefix("/ask")]))),
      Calls.policy("deny", .deny, AuthorizationRule(to: Self.to(methods: ["DELETE"]))),
      Calls.policy("allow", .allow, AuthorizationRule(from: Self.web)),
    ]
    let authorizer = Authorizer(Authorization(mode: .allow, policies: policies))
    func decide(_ call: String, _ caller: String) -> AuthorizationDecision {
      authorizer.decide(Calls.call(call, by: caller))
    }
    #expect(decide("GET /ask", "api") == AuthorizationDecision(verdict: .ask, cause: .rule, policy: 0))
    #expect(decide("DELETE /", "web") == AuthorizationDecision(verdict: .deny, cause: .rule, policy: 1))
    #expect(decide("GET /", "web") == AuthorizationDecision(verdict: .allow, cause: .rule, policy: 2))
    #expect(decide("GET /", "api") == AuthorizationDecision(verdict: .deny, cause: .nothingAllows, policy: nil))
    let modeOnly = Authorizer(Authorization(mode: .deny)).decide(Calls.call("GET /", by: "web"))
    #expect(modeOnly == AuthorizationDecision(verdict: .deny, cause: .mode, policy: nil))
  }

  @Test("a policy with a mistake refuses everybody, before anybody is asked and whatever else allows") func broken() {
    let policies = [
      Calls.policy("ask", .custom(provider: "opa"), .everything), Calls.policy("allow", .allow, .everything),
      AuthorizationPolicy.broken("shop/broken"), Calls.policy("audit", .audit, .everything),
    ]
    let authorizer = Authorizer(Authorization(mode: .allow, policies: policies))
    let refused = AuthorizationDecision(verdict: .deny, cause: .broken, policy: 2)
    for caller in ["web", "api", "plain"] {
      for call in ["GET /", "tcp"] {
        #expect(authorizer.decide(Calls.call(call, by: caller)) == refused)
        #expect(authorizer.decide(Calls.call(call, by: caller), after: .max) == refused)
        let narrowed = authorizer.narrowed(to: Calls.callers[caller]?.identity)
        #expect(narrowed.decide(Calls.call(call, by: caller)) == refused)
      }
    }
    var audited = 0
    authorizer.audit(Calls.call("GET /", by: "web")) { if $1 { audited += $0 } }
    #expect(audited == 3)
  }

  @Test("providers are asked one after the other, and then the other policies count") func providers() {
    let ask = AuthorizationRule(to: Self.to([.prefix("/admin")]))
    let policies = [
      Calls.policy("first", .custom(provider: "a"), ask),
      Calls.policy("deny", .deny, AuthorizationRule(to: Self.to(methods: ["POST"]))),
      Calls.policy("second", .custom(provider: "b"), ask),
    ]
    let authorizer = Authorizer(Authorization(policies: policies))
    let read = Calls.call("GET /admin", by: "web")
    #expect(authorizer.decide(read).policy == 0)
    #expect(authorizer.decide(read, after: 0).policy == 2)
    #expect(authorizer.decide(read, after: 2).verdict == .allow)
    #expect(authorizer.decide(Calls.call("POST /admin", by: "web"), after: 2).policy == 1)
  }

  @Test("audit policies tell whether they match") func audits() {
    let policies = [
      Calls.policy("web", .audit, AuthorizationRule(from: Self.web)), Calls.policy("allow", .allow, .everything),
      Calls.policy("post", .audit, AuthorizationRule(to: Self.to(methods: ["POST"]))),
    ]
    let authorizer = Authorizer(Authorization(policies: policies))
    func audited(_ call: String, _ caller: String) -> [Int: Bool] {
      var found: [Int: Bool] = [:]
      authorizer.audit(Calls.call(call, by: caller)) { found[$0] = $1 }
      return found
    }
    #expect(audited("GET /", "web") == [0: true, 2: false])
    #expect(audited("POST /", "api") == [0: false, 2: true])
    #expect(audited("tcp", "web") == [0: true, 2: false])
  }

  @Test(
    "an address block holds what it says",
    arguments: [
      ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.0", false), ("0.0.0.0/0", "203.0.113.9", true),
      ("0.0.0.0/0", "2001:db8::1", false), ("::/0", "203.0.113.9", true), ("2001:db8::/32", "2001:db8:ffff::1", true),
      ("2001:db8::/32", "2001:db9::", false), ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1/31", nil, false),
      ("192.0.2.1/24", nil, false), ("10.0.0.0/33", nil, false), ("10.0.0.0/", nil, false), ("10.0.0.1:80", nil, false),
      ("[::1]", nil, false), ("::1/128", "::1", true), ("2001:db8::/65", "2001:db8::1", true), ("any", nil, false),
      ("10.0.0.0/+8", nil, false), ("", nil, false),
    ] as [(String, String?, Bool)])
  func blocks(_ text: String, _ address: String?, _ isInside: Bool) {
    guard let address else { return #expect(AddressBlock(text) == nil) }
    let whole = address.contains(":") ? "[\(address)]:1" : "\(address):1"
    #expect(SocketAddress(whole).map { AddressBlock(text)?.contains($0) } == isInside)
    #expect(AddressBlock(text).flatMap { AddressBlock($0.description) } == AddressBlock(text))
  }
}
