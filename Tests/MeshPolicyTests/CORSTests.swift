import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite struct CORSTests {
  private static func isAllowed(_ origin: String, by patterns: String...) -> Bool {
    let cors = CompiledCORS(CORSPolicy(allowOrigins: patterns))
    return Array(origin.utf8).withUnsafeBytes { cors.judge(origin: $0) } == .allowed
  }

  @Test(
    "an origin is allowed by its own name, by a wildcard for labels, or by the wildcard for all",
    arguments: [
      ("https://a.example", "https://a.example", true), ("https://A.Example", "https://a.example", true),
      ("http://a.example", "https://a.example", false), ("https://a.example:8443", "https://a.example", false),
      ("https://a.example", "https://a.example:443", true), ("https://a.example:8443", "https://a.example:8443", true),
      ("https://a.example", "https://*.example", true), ("https://a.b.example", "https://*.example", true),
      ("https://example", "https://*.example", false), ("https://.example", "https://*.example", false),
      ("https://a.example.evil", "https://*.example", false), ("https://evil:1.example", "https://*.example", false),
      ("https://evil/x.example", "https://*.example", false), ("http://a:8080", "http://*:8080", true),
      ("null", "*", true), ("null", "https://*", false),
    ])
  func origins(_ origin: String, _ pattern: String, _ isAllowed: Bool) {
    #expect(Self.isAllowed(origin, by: "https://other", pattern) == isAllowed)
  }

  @Test("no origin is no cross-origin request, and no pattern allows none")
  func none() {
    #expect(CompiledCORS(CORSPolicy(allowOrigins: ["*"])).judge(origin: nil) == .noOrigin)
    #expect(!Self.isAllowed("https://a"))
  }

  @Test("a preflight is OPTIONS with an origin and the method asked for")
  func isPreflight() {
    let fields = [("Origin", "https://a"), ("Access-Control-Request-Method", "PUT")]
    #expect(CompiledCORS.isPreflight(requestHead("/", method: .options, fields)))
    #expect(!CompiledCORS.isPreflight(requestHead("/", method: .get, fields)))
    #expect(!CompiledCORS.isPreflight(requestHead("/", method: .options, [fields[0]])))
    #expect(!CompiledCORS.isPreflight(requestHead("/", method: .options, [fields[1]])))
  }

  private func preflight(_ policy: CORSPolicy, _ asked: [(String, String)] = []) -> [String] {
    let cors = CompiledCORS(policy)
    let request = requestHead("/", method: .options, [("Origin", "https://a")] + asked)
    let reply = MessageHead()
    cors.answerPreflight(request, cors.judge(origin: request.value(.origin)), into: reply)
    return reply.lines.sorted()
  }

  private static let asked = [
    ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "x-a,x-b"),
  ]

  @Test("a preflight names what the policy allows")
  func lists() {
    let policy = CORSPolicy(
      allowOrigins: ["https://a"], allowMethods: ["GET", "PUT"], allowHeaders: ["x-a"], exposeHeaders: ["x-e"],
      maxAge: 7)
    #expect(
      preflight(policy, Self.asked) == [
        "access-control-allow-headers: x-a", "access-control-allow-methods: GET, PUT",
        "access-control-allow-origin: https://a", "access-control-max-age: 7", "vary: Origin",
      ])
  }

  @Test("wildcards without credentials are answered as wildcards")
  func wildcards() {
    let policy = CORSPolicy(allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"])
    #expect(
      preflight(policy, Self.asked) == [
        "access-control-allow-headers: *", "access-control-allow-methods: *", "access-control-allow-origin: *",
        "access-control-max-age: 5",
      ])
  }

  @Test("wildcards with credentials are answered with what was asked for, and left out where nothing was")
  func credentials() {
    let policy = CORSPolicy(allowOrigins: ["*"], allowCredentials: true, allowMethods: ["*"], allowHeaders: ["*"])
    let common = ["access-control-allow-credentials: true", "access-control-allow-origin: https://a"]
    #expect(
      preflight(policy, Self.asked).filter { !$0.contains("max-age") } == [
        common[0], "access-control-allow-headers: x-a,x-b", "access-control-allow-methods: PUT", common[1],
        "vary: Origin",
      ])
    #expect(preflight(policy) == common + ["access-control-max-age: 5", "vary: Origin"])
  }

  @Test("a refused origin gets no permission")
  func refused() {
    #expect(preflight(CORSPolicy(allowOrigins: ["https://b"], allowMethods: ["*"]), Self.asked) == ["vary: Origin"])
  }

  private func response(_ policy: CORSPolicy, origin: String?, _ fields: [(String, String)] = []) -> [String] {
    let cors = CompiledCORS(policy)
    let head = MessageHead()
    for (name, value) in fields { head.append(name: name, value: value) }
    let request = requestHead("/", origin.map { [("Origin", $0)] } ?? [])
    let value = request.value(.origin)
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    cors.decorate(head, origin: value ?? none, cors.judge(origin: value))
    return head.lines.sorted()
  }

  @Test("a response says what the policy grants, whatever the backend said")
  func decorated() {
    let backends = [
      ("Access-Control-Allow-Origin", "*"), ("access-control-allow-credentials", "true"), ("x-a", "1"),
      ("Access-Control-Expose-Headers", "x-secret"), ("access-control-allow-private-network", "true"),
    ]
    let policy = CORSPolicy(allowOrigins: ["https://a"], exposeHeaders: ["x-a"])
    #expect(
      response(policy, origin: "https://a", backends) == [
        "access-control-allow-origin: https://a", "access-control-expose-headers: x-a", "vary: Origin", "x-a: 1",
      ])
    #expect(response(policy, origin: "https://b", backends) == ["vary: Origin", "x-a: 1"])
    #expect(response(policy, origin: nil, [("x-a", "1"), ("Vary", "origin")]) == ["vary: origin", "x-a: 1"])
  }

  @Test("a credentialed response exposes by name what a wildcard would")
  func exposed() {
    let fields = [("x-a", "1"), ("Set-Cookie", "s"), ("X-B", "2")]
    let any = CORSPolicy(allowOrigins: ["*"], exposeHeaders: ["*"])
    #expect(response(any, origin: "https://a", fields).contains("access-control-expose-headers: *"))
    var credentialed = any
    credentialed.allowCredentials = true
    let lines = response(credentialed, origin: "https://a", fields)
    #expect(!lines.contains { $0.hasSuffix("*") })
    #expect(lines.contains("access-control-expose-headers: x-a, X-B, vary"))
  }
}
