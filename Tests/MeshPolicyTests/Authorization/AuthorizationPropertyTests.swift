import MeshCore
import MeshPolicy
import Testing

/// Policies and calls at random, from few words so that they often meet.
private struct RandomMesh {
  var random: SeededRandom

  mutating func pick<T>(_ list: [T]) -> T { list[Int(random.next(below: list.count))] }
  mutating func some<T>(_ list: [T]) -> [T] { list.filter { _ in random.next(below: 3) == 0 } }

  mutating func rule() -> AuthorizationRule {
    let sources = (0..<random.next(below: 3)).map { _ in
      AuthorizationSource(
        principals: Selection(some(["spiffe://cluster.local/ns/shop/sa/*"]), not: some(["spiffe://**/sa/admin"])),
        namespaces: Selection(some(["shop", "pay"]), not: some(["pay"])),
        serviceAccounts: Selection(some(["shop/web", "pay/*"])), trustDomains: Selection(some(["cluster.local"])),
        addresses: Selection(some(["10.0.0.0/8", "192.168.0.0/16"].compactMap { AddressBlock($0) })))
    }
    let operations = (0..<random.next(below: 3)).map { _ in
      AuthorizationOperation(
        methods: Selection(some(["GET", "POST"]), not: some(["POST"])), hosts: Selection(some(["orders.*"])),
        paths: Selection(
          some([.exact("/"), .prefix("/orders"), .glob("/*"), .template("/orders/{id}")]),
          not: some([.prefix("/admin")])))
    }
    var conditions: [AuthorizationCondition] = []
    if random.next(below: 3) == 0 {
      conditions.append(.init(.header("x-tenant"), Selection(some(["a", "*"]), not: some(["b"]))))
    }
    if random.next(below: 3) == 0 {
      conditions.append(.init(.claim("groups"), Selection(some(["ops"]), not: some(["dev"]))))
    }
    return AuthorizationRule(sources: sources, operations: operations, conditions: conditions)
  }

  mutating func policy(_ action: AuthorizationAction? = nil) -> AuthorizationPolicy {
    let chosen = action ?? pick([.allow, .deny, .audit, .custom(provider: "opa")])
    return AuthorizationPolicy(
      name: "shop/p\(random.next(below: 1_000))", action: chosen, rules: (0..<random.next(below: 4)).map { _ in rule() }
    )
  }

  mutating func authorization() -> Authorization {
    Authorization(mode: pick([.allow, .meshOnly, .deny]), policies: (0..<random.next(below: 5)).map { _ in policy() })
  }

  mutating func call() -> AuthorizationCall {
    let request = pick([
      "GET /", "GET /orders", "POST /orders/7", "GET /admin", "GET /orders/7 x-tenant=a", "GET / jwt x-tenant=b", "tcp",
      "POST other.example/admin jwt",
    ])
    return Calls.call(request, by: pick(["web", "admin", "api", "alien", "plain"]))
  }
}

@Suite("Properties of authorization") struct AuthorizationPropertyTests {
  /// Decides the same calls before and after an edit.
  private func compare(
    _ seed: UInt64, _ edit: (inout RandomMesh, inout Authorization) -> Bool,
    _ expect: (AuthorizationDecision, AuthorizationDecision, AuthorizationCall) -> Void
  ) {
    var mesh = RandomMesh(random: SeededRandom(seed: seed))
    var edits = 0
    for _ in 0..<400 {
      let before = mesh.authorization()
      var after = before
      guard edit(&mesh, &after) else { continue }
      edits += 1
      let (old, new) = (Authorizer(before), Authorizer(after))
      for _ in 0..<25 {
        let call = mesh.call()
        expect(old.decide(call, after: .max), new.decide(call, after: .max), call)
      }
    }
    #expect(edits > 50)
  }

  @Test("rules narrowed to an identity decide as all rules do", arguments: 1...3 as ClosedRange<UInt64>)
  func narrowed(_ seed: UInt64) {
    var mesh = RandomMesh(random: SeededRandom(seed: seed))
    for _ in 0..<400 {
      let authorizer = Authorizer(mesh.authorization())
      for _ in 0..<25 {
        let call = mesh.call()
        let narrowed = authorizer.narrowed(to: call.caller.identity)
        #expect(narrowed.decide(call) == authorizer.decide(call))
        #expect(narrowed.decide(call, after: .max) == authorizer.decide(call, after: .max))
        #expect(audits(narrowed, call) == audits(authorizer, call))
      }
    }
  }

  private func audits(_ authorizer: Authorizer, _ call: AuthorizationCall) -> [Int: Bool] {
    var found: [Int: Bool] = [:]
    authorizer.audit(call) { found[$0] = $1 }
    return found
  }

  @Test(
    "adding a deny rule never adds access, and removes only what it matches", arguments: 1...3 as ClosedRange<UInt64>)
  func deny(_ seed: UInt64) {
    var added: AuthorizationPolicy?
    compare(seed) { mesh, authorization in
      let policy = mesh.policy(.deny)
      added = policy
      authorization.policies.insert(policy, at: Int(mesh.random.next(below: authorization.policies.count + 1)))
      return true
    } _: { old, new, call in
      if old.verdict == .deny { #expect(new.verdict == .deny) }
      guard let added else { return }
      let alone = Authorizer(Authorization(policies: [added])).decide(call)
      if alone.verdict == .allow { #expect(new.verdict == old.verdict) }
    }
  }

  @Test(
    "adding an allow rule never removes access where rules allow already", arguments: 1...3 as ClosedRange<UInt64>)
  func allow(_ seed: UInt64) {
    compare(seed) { mesh, authorization in
      guard authorization.policies.contains(where: { $0.action == .allow }) else { return false }
      if mesh.random.next(below: 2) == 0 {
        authorization.policies.append(mesh.policy(.allow))
      } else if let index = authorization.policies.firstIndex(where: { $0.action == .allow }) {
        authorization.policies[index].rules.append(mesh.rule())
      }
      return true
    } _: { old, new, _ in
      if old.verdict == .allow { #expect(new.verdict == .allow) }
    }
  }

  @Test("an audit policy changes no decision", arguments: 1...3 as ClosedRange<UInt64>)
  func audit(_ seed: UInt64) {
    compare(seed) { mesh, authorization in
      authorization.policies.append(mesh.policy(.audit))
      return true
    } _: { old, new, _ in
      #expect(old == new)
    }
  }

  @Test("the order of policies changes no verdict", arguments: 1...3 as ClosedRange<UInt64>)
  func order(_ seed: UInt64) {
    compare(seed) { mesh, authorization in
      authorization.policies.shuffle(using: &mesh.random)
      return true
    } _: { old, new, _ in
      #expect(old.verdict == new.verdict)
    }
  }

  @Test("a stricter mode never adds access", arguments: 1...3 as ClosedRange<UInt64>)
  func mode(_ seed: UInt64) {
    compare(seed) { _, authorization in
      authorization.mode = authorization.mode == .allow ? .meshOnly : .deny
      return true
    } _: { old, new, _ in
      if old.verdict == .deny { #expect(new.verdict == .deny) }
    }
  }
}
