import MeshResources
import Testing

// In the kinds of routes beside HTTPRoute.
extension RouteMistakeTests {
  @Test(
    "in GRPCRoutes",
    arguments: [
      RouteMistake(
        "rules[0].matches[0].method", "must name a service, a method or both; remove it to match every method",
        grpc: "matches: [{method: §{type: Exact}}]"),
      RouteMistake(
        "rules[0].matches[0].method.service",
        "\"shop/Orders\" is not a name of gRPC; write it as in the .proto file, such as shop.v1.Orders",
        grpc: "matches: [{method: {service: §shop/Orders}}]"),
      RouteMistake(
        "rules[0].matches[0].method.method",
        "\"9lives\" is not a name of gRPC; write it as in the .proto file, such as Create",
        grpc: "matches: [{method: {method: §9lives}}]"),
      RouteMistake(
        "rules[0].matches[0].path", "is not a field of this object; known fields: headers, method",
        grpc: "matches: [{§path: {value: /}}]"),
      RouteMistake(
        "rules[0].filters[0].type",
        "\"URLRewrite\" is not a known value; use one of RequestHeaderModifier, ResponseHeaderModifier, RequestMirror",
        grpc: "filters: [{type: §URLRewrite, urlRewrite: {}}]"),
      RouteMistake(
        "rules[0].timeouts",
        "is not a field of this object; known fields: backendRefs, filters, matches, name, "
          + "sessionPersistence",
        grpc: "§timeouts: {request: 1s}"),
    ])
  func grpcRoutes(_ mistake: RouteMistake) { check(mistake) }

  @Test("two patterns of a GRPCRoute that are too large together are refused at their match")
  func largePatterns() {
    let part = String(repeating: "a", count: 600)
    let text = RouteText.grpc("matches: [{method: {type: RegularExpression, service: \(part), method: \(part)}}]")
    #expect(
      ManifestParser.parse(file: "f.yaml", text: text).errors.map(\.field) == ["spec.rules[0].matches[0].method"])
    #expect(ManifestParser.parse(file: "f.yaml", text: text.replacing(part, with: "a")).errors.isEmpty)
  }

  @Test(
    "in routes for connections",
    arguments: [
      RouteMistake(
        "rules", "is required; list one rule with backendRefs", spec: "§\(RouteText.parent)", kind: "TCPRoute"),
      RouteMistake("rules", "must not be empty; list one rule with backendRefs", tcp: "rules: §[]"),
      RouteMistake(
        "rules", "has 2 entries; at most 1 are allowed",
        tcp: "rules: §[{backendRefs: [{name: a, port: 80}]}, {backendRefs: [{name: a, port: 80}]}]"),
      RouteMistake(
        "rules[0].backendRefs", "is required; list the Services that the connections go to",
        tcp: "rules: [§{name: a}]"),
      RouteMistake(
        "rules[0].backendRefs", "must not be empty; list the Services that the connections go to",
        tcp: "rules: [{backendRefs: §[]}]"),
      RouteMistake(
        "rules[0].backendRefs[0].filters",
        "is not a field of this object; known fields: group, kind, name, namespace, port, weight",
        tcp: "rules: [{backendRefs: [{name: a, port: 80, §filters: []}]}]"),
      RouteMistake(
        "rules[0].matches", "is not a field of this object; known fields: backendRefs, name",
        tcp: "rules: [{§matches: [], backendRefs: [{name: a, port: 80}]}]"),
      RouteMistake(
        "rules[0].backendRefs[0].weight", "must be a whole number from 0 to 1000000, not 1000001",
        tcp: "rules: [{backendRefs: [{name: a, port: 80, weight: §1000001}]}]"),
      RouteMistake(
        "hostnames", "is not a field of this object; known fields: parentRefs, rules, useDefaultGateways",
        spec: "§hostnames: [a]\n  \(RouteText.parent)  rules: [{backendRefs: [{name: a, port: 80}]}]", kind: "TCPRoute"),
    ])
  func connectionRoutes(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in names of TLS servers",
    arguments: [
      RouteMistake(
        "hostnames", "is required; list the servers that clients ask for",
        spec: "§\(RouteText.parent)  rules: [{backendRefs: [{name: a, port: 80}]}]", kind: "TLSRoute"),
      RouteMistake("hostnames", "must not be empty; list the servers that clients ask for", tls: "§[]"),
      RouteMistake(
        "hostnames", "has 1025 entries; at most 1024 are allowed", tls: "§[\(list(1025) { "a\($0)" })]"),
      RouteMistake(
        "hostnames[1]", "\"10.0.0.1\" is an address; TLS clients ask for names; write a name such as db.example.com",
        tls: "[a.b, §10.0.0.1]"),
      RouteMistake("hostnames[0]", "\"A.b\" is not a hostname; write a.b", tls: "[§A.b]"),
    ]
      + ["a.*.b", "*", "*.", "a_b", "a..b", "-a", "a.b:443", "*.*.b"].map { name in
        RouteMistake(
          "hostnames[0]", "\"\(name)\" is not a hostname; write a name such as db.example.com or *.example.com",
          tls: "[§\"\(name)\"]")
      })
  func serverNames(_ mistake: RouteMistake) { check(mistake) }
}
