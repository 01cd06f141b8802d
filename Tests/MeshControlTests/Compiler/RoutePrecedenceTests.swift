import MeshPolicy
import Testing

@testable import MeshControl

@Suite("Precedence of routes")
struct RoutePrecedenceTests {
  private func names(_ manifests: String) -> [String] {
    let mesh = MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests))
    return mesh.services[MeshFixture.port("orders")]?.rules.map(\.name) ?? []
  }

  private let backend = "backendRefs: [{name: orders-v1, port: 80}]"

  @Test(
    "exact paths go before expressions, those before prefixes, the longest prefix first, then method, headers, query")
  func table() {
    let rules = """
      [
          {name: short, matches: [{path: {value: /a}}], \(backend)},
          {name: long, matches: [{path: {value: /a/b}}], \(backend)},
          {name: regex, matches: [{path: {type: RegularExpression, value: "/a/.*"}}], \(backend)},
          {name: exact, matches: [{path: {type: Exact, value: /a}}], \(backend)},
          {name: headers, matches: [{path: {value: /a/}, headers: [{name: X-A, value: b}]}], \(backend)},
          {name: method, matches: [{path: {value: /a}, method: GET}], \(backend)},
          {name: query, matches: [{path: {value: /a}, queryParams: [{name: a, value: b}]}], \(backend)},
          {name: more, matches: [{path: {value: /a}, headers: [{name: X-A, value: b}, {name: x-c, value: d}]}],
           \(backend)}]
      """
    #expect(
      names(MeshFixture.route("orders", rules: rules))
        == ["exact", "regex", "long", "method", "more", "headers", "query", "short"].map {
          "httproute/shop/orders#\($0)"
        })
  }

  @Test("of equal matches the older route goes first, then the first by name, then the first rule")
  func ties() {
    let rules = "[{\(backend)}, {\(backend), matches: [{path: {value: /}}]}]"
    let routes =
      MeshFixture.route("a", rules: rules) + MeshFixture.route("b", rules: rules)
      + MeshFixture.route("c", created: "2026-01-01T00:00:00Z", rules: rules)
    #expect(names(routes) == ["c#0", "c#1", "a#0", "a#1", "b#0", "b#1"].map { "httproute/shop/\($0)" })
  }

  @Test("a rule whose matches have different ranks stands once for each")
  func splitRule() {
    let rules = """
      [{matches: [{path: {type: Exact, value: /x}}, {path: {value: /}}], \(backend)},
       {matches: [{path: {value: /long}}], \(backend)}]
      """
    let mesh = MeshCompiler.compile(
      MeshFixture.snapshot(MeshFixture.orders + MeshFixture.route("orders", rules: rules)))
    let compiled = mesh.services[MeshFixture.port("orders")]?.rules ?? []
    #expect(compiled.map(\.name) == ["#0", "#1", "#0"].map { "httproute/shop/orders\($0)" })
    #expect(compiled.map { $0.matches.map(\.path) } == [[.exact("/x")], [.prefix("/long")], [.prefix("/")]])
  }
}
