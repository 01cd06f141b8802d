import CMallocCounter
import MeshCore
import MeshPolicy
import Testing

@testable import MeshProxy

/// What it costs a proxy to ask who calls: allocations of the worker's thread, beside those of the same request where nobody asks.
@Suite("Cost of asking who calls", .serialized)
struct GateCostTests {
  #if DEBUG
  /// Without optimization closures and iterators are boxed: some for each policy and field.
  private static let limit = 150.0
  #else
  /// Less than one for each request; TLS gives its buffers back at moments of its own.
  private static let limit = 0.5
  #endif
  private static let count = 400

  /// Allocations for each of `request` in the proxy of the server.
  private static func perRequest(_ pair: MeshPair, _ request: () throws -> Void) throws -> Double {
    for _ in 0..<200 { try request() }
    let before = try pair.receiver.onLoop { _ in apus_malloc_count() }
    for _ in 0..<count { try request() }
    let after = try pair.receiver.onLoop { _ in apus_malloc_count() }
    return Double(after - before) / Double(count)
  }

  /// How many allocations more a request needs once `change` has been made.
  private static func added(_ fields: String = "", by change: (MeshPair) throws -> Void) throws -> Double {
    let backend = Backend.named("hello")
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend)
    let client = try pair.sender.connect()
    func request() throws {
      let answer = try client.exchange(
        "GET /orders/7?c=d HTTP/1.1\r\nHost: orders.shop\r\nAccept: */*\r\n\(fields)\r\n")
      guard answer.status == 200 else { throw SocketProblem(description: answer.head) }
    }
    let without = try perRequest(pair, request)
    try change(pair)
    let with = try perRequest(pair, request)
    print("allocations per request: \(without), with the question \(with)")
    return with - without
  }

  /// Twenty policies of all kinds, the last of which admits the caller.
  private static var policies: [AuthorizationPolicy] {
    let accounts = (0..<18).map { number in
      AuthorizationPolicy(
        name: "shop/p\(number)", action: number % 3 == 0 ? .deny : .allow,
        rules: [
          AuthorizationRule(
            sources: [AuthorizationSource(serviceAccounts: Selection(["shop/other-\(number)", "team-*/x"]))],
            operations: [
              AuthorizationOperation(
                methods: Selection(["GET"]), hosts: Selection(["*.shop"]),
                paths: Selection([.prefix("/p\(number)"), .glob("/*/\(number)"), .template("/orders/{id}")]))
            ])
        ])
    }
    let fields = AuthorizationPolicy(
      name: "shop/field", action: .deny,
      rules: [AuthorizationRule(conditions: [AuthorizationCondition(.header("x-tenant"), Selection(["evil-*"]))])])
    let web = AuthorizationPolicy(
      name: "shop/web", action: .allow,
      rules: [AuthorizationRule(sources: [AuthorizationSource(serviceAccounts: Selection(["shop/web"]))])])
    return accounts + [fields, web]
  }

  @Test("a decision among twenty policies allocates nothing")
  func authorization() throws {
    #expect(Self.policies.count == 20)
    let added = try Self.added { $0.authorize(Authorization(policies: Self.policies)) }
    #expect(added <= Self.limit, "\(added)")
  }

  @Test("a token that was verified before, its claims in fields and in a rule, allocates nothing")
  func token() throws {
    let keys = #"{"keys":[\#(SignatureKeyTests.pssKey)]}"#
    let issuer = TokenIssuer(
      policy: "shop/users", issuer: "https://issuer.example", keys: .inline(keys),
      claimHeaders: [.init(header: "x-issuer", claim: "iss")], payloadHeader: "x-claims")
    let claim = AuthorizationCondition(.claim("iss"), Selection(["https://*"]))
    let users = AuthorizationPolicy(name: "shop/users", action: .allow, rules: [AuthorizationRule(conditions: [claim])])
    let set = try TokenKeySet(keys.utf8)
    let fields = "Authorization: Bearer \(SignatureKeyTests.pssToken)\r\n"
    let added = try Self.added(fields) { pair in
      _ = try pair.receiver.onLoop { $0.tokens.take(set, of: issuer.keys) }
      pair.authorize(Authorization(policies: [users]), tokens: TokenPolicy(issuers: [issuer], isRequired: true))
    }
    #expect(added <= Self.limit, "\(added)")
  }
}
