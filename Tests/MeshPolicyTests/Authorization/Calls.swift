import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

/// Calls and policies in few words.
enum Calls {
  static let callers: [String: CallerFacts] = [
    "web": caller("spiffe://cluster.local/ns/shop/sa/web", "10.1.0.1:4000"),
    "admin": caller("spiffe://cluster.local/ns/shop/sa/admin", "10.1.0.2:4000"),
    "api": caller("spiffe://cluster.local/ns/pay/sa/api", "10.2.0.1:4000"),
    "alien": caller("spiffe://partner.example/ns/shop/sa/web", "203.0.113.5:4000"),
    "plain": caller(nil, "192.168.7.9:4000"),
  ]

  private static func caller(_ id: String?, _ address: String) -> CallerFacts {
    CallerFacts(identity: id.flatMap { SPIFFEID($0) }, address: SocketAddress(address))
  }

  /// `GET /orders`, `POST shop.example:80/orders x-tenant=a`, `GET / jwt`, `tcp`.
  static func call(_ text: String, by caller: String) -> AuthorizationCall {
    guard let facts = callers[caller] else { preconditionFailure("no caller \(caller)") }
    if text == "tcp" { return AuthorizationCall(caller: facts, request: nil) }
    let words = text.split(separator: " ").map(String.init)
    let head = MessageHead()
    head.method = Array(words[0].utf8).withUnsafeBytes { Method($0) }
    if head.method == .other { head.methodBytes = head.intern(string: words[0]) }
    let slash = words[1].firstIndex(of: "/") ?? words[1].startIndex
    head.authority = head.intern(string: slash == words[1].startIndex ? "orders.shop" : String(words[1][..<slash]))
    head.path = head.intern(string: String(words[1][slash...]))
    var claims: ClaimSet?
    for word in words.dropFirst(2) {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      if word == "jwt" {
        claims = ClaimSet(["iss": ["https://issuer.example"], "groups": ["dev", "ops"], "realm.roles": ["reader"]])
      } else {
        head.append(name: parts[0], value: parts[1])
      }
    }
    return AuthorizationCall(caller: facts, request: head, claims: claims)
  }

  static func policy(
    _ name: String, _ action: AuthorizationAction, _ rules: AuthorizationRule...
  ) -> AuthorizationPolicy {
    AuthorizationPolicy(name: name, action: action, rules: rules)
  }
}

extension AuthorizationRule {
  static let everything = AuthorizationRule(sources: [])

  init(
    from source: AuthorizationSource? = nil, to operation: AuthorizationOperation? = nil,
    when: [AuthorizationCondition] = []
  ) {
    self.init(
      sources: source.map { [$0] } ?? [], operations: operation.map { [$0] } ?? [], conditions: when)
  }
}

/// Which of some calls some callers may make. Of each caller, a letter for each call: `A`llowed, `D`enied, `?` asks a provider.
struct Grid: CustomTestStringConvertible, Sendable {
  static let usual = ["GET /", "GET /orders", "GET /orders/7", "POST /orders", "GET /admin", "tcp"]

  var testDescription: String
  var mode = AuthorizationMode.allow
  var policies: [AuthorizationPolicy]
  var calls = Grid.usual
  var verdicts: KeyValuePairs<String, String>

  init(
    _ title: String, _ policies: AuthorizationPolicy..., mode: AuthorizationMode = .allow, calls: [String] = Grid.usual,
    expect verdicts: KeyValuePairs<String, String>
  ) {
    testDescription = title
    self.mode = mode
    self.policies = policies
    self.calls = calls
    self.verdicts = verdicts
  }

  var rows: Int { verdicts.count * calls.count }
}
