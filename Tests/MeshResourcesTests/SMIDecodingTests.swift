import MeshPolicy
import MeshResources
import Testing

@Suite("SMI's route groups and port routes, in every version")
struct SMIDecodingTests {
  private func parse(_ kind: String, _ version: String, _ body: String) -> ManifestParser.Result {
    ManifestParser.parse(
      file: "f.yaml",
      text: """
        apiVersion: \(kind == "TrafficSplit" ? "split" : "specs").smi-spec.io/\(version)
        kind: \(kind)
        metadata: {name: g, namespace: shop}
        \(body)
        """)
  }

  private func problems(_ kind: String, _ version: String, _ body: String) -> [String] {
    parse(kind, version, body).errors.map { "\($0.field) \($0.message)\($0.fix.isEmpty ? "" : "; \($0.fix)")" }
  }

  private func group(_ version: String, _ body: String) -> [HTTPRouteGroup.Match] {
    let result = parse("HTTPRouteGroup", version, body)
    #expect(result.errors == [])
    guard case .httpRouteGroup(let group)? = result.objects.first?.value else { return [] }
    return group.matches
  }

  @Test("matches stand beside metadata at first, and in the spec from v1alpha3 on")
  func versions() {
    let matches = "[{name: list, pathRegex: \"/orders/.*\", methods: [GET, HEAD]}]"
    let expected = [HTTPRouteGroup.Match(name: "list", pathRegex: "/orders/.*", methods: ["GET", "HEAD"])]
    for version in ["v1alpha1", "v1alpha2"] {
      #expect(group(version, "matches: \(matches)") == expected)
      #expect(
        problems("HTTPRouteGroup", version, "spec: {matches: \(matches)}").map { String($0.prefix(24)) } == [
          "matches is required; lis", "spec is not a field of t",
        ])
    }
    for version in ["v1alpha3", "v1alpha4"] {
      #expect(group(version, "spec: {matches: \(matches)}") == expected)
      #expect(
        problems("HTTPRouteGroup", version, "matches: \(matches)").map { String($0.prefix(24)) } == [
          "spec is required", "matches is not a field o",
        ])
    }
  }

  @Test("headers are a mapping, or a list of mappings as SMI's client writes them; v1alpha1 has none")
  func headers() {
    let expected = [
      HeaderMatch(name: "x-cohort", value: .regularExpression("^beta$")),
      HeaderMatch(name: "user-agent", value: .regularExpression(".*Firefox.*")),
    ]
    let map = "{X-Cohort: \"^beta$\", user-agent: \".*Firefox.*\"}"
    let list = "[{X-Cohort: \"^beta$\"}, {user-agent: \".*Firefox.*\"}]"
    for headers in [map, list] {
      #expect(group("v1alpha2", "matches: [{name: a, headers: \(headers)}]").map(\.headers) == [expected])
      #expect(group("v1alpha4", "spec: {matches: [{name: a, headers: \(headers)}]}").map(\.headers) == [expected])
      #expect(
        problems("HTTPRouteGroup", "v1alpha1", "matches: [{name: a, headers: \(headers)}]") == [
          "matches[0].headers is a field of v1alpha2 and later; write apiVersion: specs.smi-spec.io/v1alpha4"
        ])
    }
  }

  @Test("a match says in the snapshot's words what it says: a method each, the path from its beginning on")
  func alternatives() {
    func alternatives(_ match: String) -> [[RouteMatch]] {
      group("v1alpha4", "spec: {matches: [\(match)]}").map(\.alternatives)
    }
    let path = PathMatch.regularExpression("(/a|/b).*")
    #expect(
      alternatives("{name: m, pathRegex: /a|/b, methods: [GET, PUT, GET]}") == [
        [RouteMatch(path: path, method: "GET"), RouteMatch(path: path, method: "PUT")]
      ])
    #expect(alternatives("{name: m, methods: [GET, \"*\"]}") == [[RouteMatch()]])
    #expect(
      alternatives("{name: m, headers: {a: b}}") == [
        [RouteMatch(headers: [HeaderMatch(name: "a", value: .regularExpression("b"))])]
      ])
  }

  @Test(
    "mistakes in groups are told",
    arguments: [
      ("[]", "spec.matches must not be empty; list at least one match"),
      ("[{pathRegex: /a}]", "spec.matches[0].name is required; TrafficTargets name the match by it"),
      ("[{name: a}, {name: a}]", "spec.matches[1] two matches have the name a; rename one of them"),
      (
        "[{name: a, pathRegex: \"(\"}]",
        "spec.matches[0].pathRegex \"(\": at byte 1: a group without \")\"; "
          + "write a POSIX extended regular expression for the whole value"
      ),
      ("[{name: a, methods: [FETCH]}]", "spec.matches[0].methods[0] \"FETCH\" is not a known value; did you mean"),
      ("[{name: a, headers: {\"a b\": c}}]", "spec.matches[0].headers.a b \"a b\" is not the name of a header"),
      (
        "[{name: a, headers: [{x: a}, {X: b}]}]",
        "spec.matches[0].headers[1].X the header x is matched twice; join the two patterns"
      ),
    ])
  func mistakes(matches: String, expected: String) {
    let told = problems("HTTPRouteGroup", "v1alpha4", "spec: {matches: \(matches)}")
    #expect(told.count == 1)
    let key = expected.split(separator: " ").first.map(String.init) ?? ""
    #expect(told.first?.hasPrefix(key) == true, "\(told)")
    if !expected.contains("FETCH"), !expected.contains("(") { #expect(told == [expected]) }
    #expect(parse("HTTPRouteGroup", "v1alpha4", "spec: {matches: \(matches)}").objects.isEmpty)
  }

  @Test(
    "port routes have nothing, an empty spec, or ports, by their version",
    arguments: [
      ("TCPRoute", "v1alpha1", "", []), ("TCPRoute", "v1alpha2", "", []), ("TCPRoute", "v1alpha3", "spec: {}", []),
      ("TCPRoute", "v1alpha3", "", []), ("TCPRoute", "v1alpha4", "spec: {matches: {ports: [8080, 80]}}", [8080, 80]),
      ("TCPRoute", "v1alpha4", "spec: {matches: {name: a, ports: []}}", []), ("TCPRoute", "v1alpha4", "spec: {}", []),
      ("UDPRoute", "v1alpha4", "spec: {matches: {ports: [53]}}", [53]),
    ] as [(String, String, String, [UInt16])])
  func portRoutes(kind: String, version: String, body: String, ports: [UInt16]) {
    let result = parse(kind, version, body)
    #expect(result.errors == [])
    guard case .portRoute(let route)? = result.objects.first?.value else {
      Issue.record("no route was read")
      return
    }
    #expect(route.ports == ports)
    #expect(
      result.objects.first?.value.key
        == ResourceKey(group: "specs.smi-spec.io", kind: kind, namespace: "shop", name: "g"))
  }

  @Test("what a version does not have is refused")
  func wrongVersions() {
    #expect(problems("UDPRoute", "v1alpha3", "spec: {}").count == 1)
    #expect(problems("TCPRoute", "v1alpha2", "spec: {}").map { String($0.prefix(10)) } == ["spec is no"])
    #expect(
      problems("TCPRoute", "v1alpha3", "spec: {matches: {}}").map { String($0.prefix(18)) } == ["spec.matches is no"])
    #expect(problems("TCPRoute", "v1alpha4", "") == ["spec is required"])
    #expect(
      problems("TCPRoute", "v1alpha4", "spec: {matches: {ports: [0]}}") == [
        "spec.matches.ports[0] must be a whole number from 1 to 65535, not 0"
      ])
  }

  @Test("a split names its groups from v1alpha3 on", arguments: ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"])
  func splitMatches(version: String) {
    func body(_ matches: String) -> String {
      "spec: {service: orders, matches: \(matches), backends: [{service: orders-v1, weight: 1}]}"
    }
    let result = parse(
      "TrafficSplit", version, body("[{kind: HTTPRouteGroup, name: a}, {kind: HTTPRouteGroup, name: b}]"))
    if ["v1alpha1", "v1alpha2"].contains(version) {
      #expect(
        result.errors.map(\.description) == [
          "f.yaml:4:34: TrafficSplit shop/g: spec.matches: is a field of v1alpha3 and later; "
            + "write apiVersion: split.smi-spec.io/v1alpha4"
        ])
    } else {
      #expect(result.errors == [])
      guard case .trafficSplit(let split)? = result.objects.first?.value else {
        Issue.record("no split was read")
        return
      }
      #expect(split.matches == ["a", "b"])
      #expect(problems("TrafficSplit", version, body("[{kind: TCPRoute, name: a}]")).count == 1)
      #expect(problems("TrafficSplit", version, body("[{kind: HTTPRouteGroup}]")).count == 1)
      #expect(problems("TrafficSplit", version, body("[{kind: HTTPRouteGroup, name: a, apiGroup: x.y}]")).count == 1)
      #expect(problems("TrafficSplit", version, body("[]")) == [])
    }
  }
}
