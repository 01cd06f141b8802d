import MeshResources
import Testing

/// A route with one mistake, at the place of the mark `§`, and what is told of it.
struct RouteMistake: Sendable, CustomTestStringConvertible {
  var text: String
  var expected: String
  var testDescription: String { expected }

  init(_ field: String, _ message: String, _ marked: String) {
    let before = marked.prefix { $0 != "§" }
    let line = before.count { $0 == "\n" } + 1
    let column = before.reversed().prefix { $0 != "\n" }.count + 1
    let kind = ["GRPCRoute", "TCPRoute", "TLSRoute"].first { marked.contains("kind: \($0)\n") } ?? "HTTPRoute"
    text = marked.replacing("§", with: "")
    expected = "f.yaml:\(line):\(column): \(kind) shop/orders: spec.\(field): \(message)"
  }
}

private func route(_ spec: String, kind: String = "HTTPRoute") -> String {
  """
  apiVersion: gateway.networking.k8s.io/v1
  kind: \(kind)
  metadata: {name: orders, namespace: shop}
  spec:
    \(spec)

  """
}

private let parent = "parentRefs: [{group: \"\", kind: Service, name: orders}]\n"

private func http(_ rule: String) -> String { route("\(parent)  rules: [{\(rule)}]") }
private func grpc(_ rule: String) -> String { route("\(parent)  rules: [{\(rule)}]", kind: "GRPCRoute") }
private func tcp(_ spec: String) -> String { route(spec, kind: "TCPRoute") }
private func tls(_ names: String) -> String {
  route("\(parent)  hostnames: \(names)\n  rules: [{backendRefs: [\(backend)]}]", kind: "TLSRoute")
}
private let service = "[{group: \"\", kind: Service, name: orders}]\n"
private let backend = "{name: a, port: 80}"
private func filter(_ filter: String) -> String { http("filters: [\(filter)]") }
private func list(_ count: Int, _ entry: (Int) -> String) -> String {
  (0..<count).map(entry).joined(separator: ", ")
}

private let pathOfRedirect = "type: RequestRedirect, requestRedirect: {path: "

@Suite("Mistakes in routes")
struct RouteMistakeTests {
  private func check(_ mistake: RouteMistake) {
    let result = ManifestParser.parse(file: "f.yaml", text: mistake.text)
    #expect(result.errors.map(\.description) == [mistake.expected])
    #expect(result.objects.isEmpty)
    #expect(result.rejected.map(\.value.key.name) == ["orders"])
  }

  @Test(
    "in parents and rules",
    arguments: [
      RouteMistake(
        "parentRefs", "must not be empty; name the Service whose requests the route takes", route("parentRefs: §[]")),
      RouteMistake(
        "parentRefs[0].kind",
        "a parent of kind gateway.networking.k8s.io/Gateway is not supported; write group: \"\" and kind: Service",
        route("parentRefs: [§{name: edge}]")),
      RouteMistake(
        "parentRefs[0].group",
        "a parent of kind gateway.networking.k8s.io/Service is not supported; write group: \"\" and kind: Service",
        route("parentRefs: [§{kind: Service, name: orders}]")),
      RouteMistake(
        "parentRefs[1]",
        "names the same Service as spec.parentRefs[0]; give each of the two a port or a sectionName of its own, or "
          + "remove one",
        route("parentRefs: [{group: \"\", kind: Service, name: a, port: 80}, §{group: \"\", kind: Service, name: a}]")),
      RouteMistake(
        "parentRefs[0].port", "must be a whole number from 1 to 65535, not 0",
        route("parentRefs: [{group: \"\", kind: Service, name: a, port: §0}]")),
      RouteMistake(
        "useDefaultGateways", "is not supported yet; remove it and name a Service in parentRefs",
        route("\(parent)  §useDefaultGateways: All")),
      RouteMistake(
        "rules", "must not be empty; remove the field, or list a rule", route("\(parent)  rules: §[]")),
      RouteMistake(
        "rules", "has 17 entries; at most 16 are allowed", route("\(parent)  rules: §[\(list(17) { _ in "{}" })]")),
      RouteMistake(
        "rules", "two rules have the name a; rename one of them",
        route("\(parent)  rules: §[{name: a}, {name: a}]")),
      RouteMistake(
        "rules", "the rules have more than 128 matches together; split the route",
        route("\(parent)  rules: §[\(list(3) { _ in "{matches: [\(list(43) { _ in "{}" })]}" })]")),
      RouteMistake(
        "rules[0].matches", "has 65 entries; at most 64 are allowed", http("matches: §[\(list(65) { _ in "{}" })]")),
      RouteMistake(
        "rules[0].backendRefs", "has 17 entries; at most 16 are allowed",
        http("backendRefs: §[\(list(17) { "{name: a\($0), port: 80}" })]")),
      RouteMistake(
        "rules[0].backendRefs[0].weight", "must be a whole number from 0 to 1000000, not 1000001",
        http("backendRefs: [{name: a, port: 80, weight: §1000001}]")),
    ])
  func rules(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in sessions",
    arguments: [
      RouteMistake(
        "rules[0].sessionPersistence.type", "\"cookies\" is not a known value; did you mean Cookie?",
        http("sessionPersistence: {type: §cookies}")),
      RouteMistake(
        "rules[0].sessionPersistence.sessionName",
        "\"a b\" is not the name of a cookie; use letters, digits, \"-\" and \"_\"",
        http("sessionPersistence: {sessionName: §a b}")),
      RouteMistake(
        "rules[0].sessionPersistence.sessionName", "must be at most 128 bytes long",
        http("sessionPersistence: {sessionName: §\(String(repeating: "a", count: 129))}")),
      RouteMistake(
        "rules[0].sessionPersistence.sessionName", "the proxy itself writes the header host; remove the entry",
        grpc("sessionPersistence: {type: Header, sessionName: §Host}")),
      RouteMistake(
        "rules[0].sessionPersistence.cookie.name", "the session has a name already; write one of them",
        http("sessionPersistence: {sessionName: a, cookie: {name: §b}}")),
      RouteMistake(
        "rules[0].sessionPersistence.cookie.path",
        "\"/a;b\" is not the path of a cookie; begin it with /, without spaces and semicolons",
        http("sessionPersistence: {cookie: {path: §/a;b}}")),
      RouteMistake(
        "rules[0].sessionPersistence.cookieConfig", "is for sessions of type Cookie; remove it, or write type: Cookie",
        http("sessionPersistence: {type: Header, cookieConfig: §{lifetimeType: Session}}")),
      RouteMistake(
        "rules[0].sessionPersistence.header", "is for sessions of type Header; remove it, or write type: Header",
        http("sessionPersistence: {header: §{name: a}}")),
      RouteMistake(
        "rules[0].sessionPersistence.absoluteTimeout",
        "is required: a permanent cookie needs an end; write it, or lifetimeType: Session",
        http("sessionPersistence: §{cookieConfig: {lifetimeType: Permanent}}")),
      RouteMistake(
        "rules[0].sessionPersistence.idleTimeout", "sessions count whole seconds; write 1s or more",
        http("sessionPersistence: {idleTimeout: §1500ms}")),
      RouteMistake(
        "rules[0].sessionPersistence.absoluteTimeout", "sessions count whole seconds; write 1s or more",
        http("sessionPersistence: {absoluteTimeout: §0s}")),
      RouteMistake(
        "rules[0].sessionPersistence.cookieConfig.lifetime",
        "is not a field of this object; known fields: lifetimeType",
        http("sessionPersistence: {cookieConfig: {§lifetime: Session}}")),
    ])
  func sessions(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in matches",
    arguments: [
      RouteMistake(
        "rules[0].matches[0].path.type",
        "\"Prefix\" is not a known value; use one of Exact, PathPrefix, RegularExpression",
        http("matches: [{path: {type: §Prefix, value: /}}]")),
      RouteMistake(
        "rules[0].matches[0].queryParams[0].value", "is required", http("matches: [{queryParams: [§{name: a}]}]")),
      RouteMistake(
        "rules[0].matches[0].queryParams[0].value", "must be 1 to 1024 bytes long",
        http("matches: [{queryParams: [{name: a, value: §\"\"}]}]")),
      RouteMistake(
        "rules[0].matches[0].queryParams[0].name", "\"a b\" is not the name of a query parameter",
        http("matches: [{queryParams: [{name: §a b, value: c}]}]")),
      RouteMistake(
        "rules[0].matches[0].queryParams[0].type",
        "\"Regex\" is not a known value; use one of Exact, RegularExpression",
        http("matches: [{queryParams: [{type: §Regex, name: a, value: c}]}]")),
      RouteMistake(
        "rules[0].matches[0].queryParams", "has 17 entries; at most 16 are allowed",
        http("matches: [{queryParams: §[\(list(17) { "{name: a\($0), value: b}" })]}]")),
      RouteMistake(
        "rules[0].matches[0].headers", "has 17 entries; at most 16 are allowed",
        http("matches: [{headers: §[\(list(17) { "{name: a\($0), value: b}" })]}]")),
    ])
  func matches(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in filters",
    arguments: [
      RouteMistake(
        "rules[0].filters[0].type", "the filter ExtensionRef is not supported yet; remove the filter",
        filter("{type: §ExtensionRef, extensionRef: {group: a, kind: B, name: c}}")),
      RouteMistake(
        "rules[0].filters[0].type", "the filter ExternalAuth is not supported yet; remove the filter",
        filter("{type: §ExternalAuth}")),
      RouteMistake(
        "rules[0].filters[0].type", "\"UrlRewite\" is not a known value; did you mean URLRewrite?",
        filter("{type: §UrlRewite}")),
      RouteMistake(
        "rules[0].filters[0].urlRewrite", "is required; say what the filter does", filter("§{type: URLRewrite}")),
      RouteMistake(
        "rules[0].filters[0].urlRewrite",
        "goes with type: URLRewrite, not RequestRedirect; remove it, or make it a filter of its own",
        filter("{type: RequestRedirect, requestRedirect: {}, urlRewrite: §{}}")),
      RouteMistake(
        "rules[0].filters[1]", "the filter CORS stands twice; only RequestMirror may; join the two",
        filter("{type: CORS, cors: {}}, §{type: CORS, cors: {}}")),
      RouteMistake(
        "rules[0].filters[1]", "RequestRedirect and URLRewrite cannot stand together; remove one of the two",
        filter("{type: URLRewrite, urlRewrite: {}}, §{type: RequestRedirect, requestRedirect: {}}")),
      RouteMistake(
        "rules[0].backendRefs",
        "cannot stand beside a RequestRedirect filter, which answers every request; remove the backendRefs or the filter",
        http("filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: §[{name: a, port: 80}]")),
      RouteMistake(
        "rules[0].filters", "has 17 entries; at most 16 are allowed",
        http(
          "filters: §[\(list(17) { "{type: RequestMirror, requestMirror: {backendRef: {name: a\($0), port: 80}}}" })]")),
      RouteMistake(
        "rules[0].filters[0].requestHeaderModifier",
        "the header x-a has more than one action; keep one of set, add and "
          + "remove",
        filter("{type: RequestHeaderModifier, requestHeaderModifier: §{set: [{name: x-a, value: b}], remove: [X-A]}}")),
      RouteMistake(
        "rules[0].backendRefs[0].filters[0].type", "the filter ExtensionRef is not supported yet; remove the filter",
        http("backendRefs: [{name: a, port: 80, filters: [{type: §ExtensionRef}]}]")),
    ])
  func filters(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in redirects, rewrites and mirrors",
    arguments: [
      RouteMistake(
        "rules[0].filters[0].requestRedirect.statusCode",
        "300 is not a redirection that is known; use one of 301, 302, 303, 307, 308",
        filter("{type: RequestRedirect, requestRedirect: {statusCode: §300}}")),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.scheme", "\"ftp\" is not a known value; use one of http, https",
        filter("{type: RequestRedirect, requestRedirect: {scheme: §ftp}}")),
      RouteMistake(
        "rules[0].filters[0].urlRewrite.hostname",
        "\"Orders.example\" must be a DNS name of a-z, 0-9, \"-\" and \".\", 253 characters at most; "
          + "write orders.example",
        filter("{type: URLRewrite, urlRewrite: {hostname: §Orders.example}}")),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.replaceFullPath", "is required; write the path to put in its place",
        filter("{\(pathOfRedirect)§{type: ReplaceFullPath}}}")),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.replacePrefixMatch",
        "does not go with type: ReplaceFullPath; remove it",
        filter("{\(pathOfRedirect){type: ReplaceFullPath, replaceFullPath: /a, replacePrefixMatch: §/b}}}")),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.replaceFullPath", "\"a\" must begin with /; write \"/a\"",
        filter("{\(pathOfRedirect){type: ReplaceFullPath, replaceFullPath: §a}}}")),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.replaceFullPath",
        "\"/a b\" has a character that no path has; percent-encode it",
        filter("{\(pathOfRedirect){type: ReplaceFullPath, replaceFullPath: §/a b}}}")),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.type",
        "ReplacePrefixMatch needs a rule with exactly one match, of type PathPrefix; write one such match, or "
          + "ReplaceFullPath",
        http(
          "matches: [{path: {type: Exact, value: /a}}], filters: [{\(pathOfRedirect){type: §ReplacePrefixMatch, "
            + "replacePrefixMatch: /b}}}]")),
      RouteMistake(
        "rules[0].backendRefs[0].filters[0].urlRewrite.path.type",
        "ReplacePrefixMatch needs a rule with exactly one match, of type PathPrefix; write one such match, or "
          + "ReplaceFullPath",
        http(
          "matches: [{}, {}], backendRefs: [{name: a, port: 80, filters: [{type: URLRewrite, urlRewrite: "
            + "{path: {type: §ReplacePrefixMatch, replacePrefixMatch: /b}}}]}]")),
      RouteMistake(
        "rules[0].filters[0].requestMirror.percent", "cannot stand together with fraction; remove one of the two",
        filter(
          "{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, percent: §1, fraction: {numerator: 1}}}"
        )
      ),
      RouteMistake(
        "rules[0].filters[0].requestMirror.percent", "must be a whole number from 0 to 100, not 101",
        filter("{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, percent: §101}}")),
      RouteMistake(
        "rules[0].filters[0].requestMirror.fraction.numerator", "101 of 100 is more than all; swap the two",
        filter("{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, fraction: {numerator: §101}}}")),
      RouteMistake(
        "rules[0].filters[0].requestMirror.backendRef.port", "is required; name the Service's port",
        filter("{type: RequestMirror, requestMirror: {backendRef: §{name: a}}}")),
    ])
  func urlsAndMirrors(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in CORS",
    arguments: [
      ("allowOrigins: [§a.example]", "allowOrigins[0]", "\"a.example\" is not an origin; write https://a.example"),
      (
        "allowOrigins: [§\"https://a.example/\"]", "allowOrigins[0]",
        "\"https://a.example/\" is not an origin; write https://HOST or https://HOST:PORT"
      ),
      (
        "allowOrigins: [§\"http://a:70000\"]", "allowOrigins[0]",
        "\"http://a:70000\" is not an origin; write https://HOST or https://HOST:PORT"
      ),
      (
        "allowOrigins: [\"http://a\", §\"*\"]", "allowOrigins[1]",
        "\"*\" allows everything and must stand alone; remove it, or the others"
      ),
      ("allowMethods: [GET, §GET]", "allowMethods[1]", "\"GET\" stands twice; remove one of the two"),
      ("allowMethods: [§get]", "allowMethods[0]", "\"get\" is not a known value; did you mean GET?"),
      ("allowHeaders: [§\"a b\"]", "allowHeaders[0]", "\"a b\" is not the name of a header"),
      ("maxAge: §0", "maxAge", "must be a whole number from 1 to 2147483647, not 0"),
      (
        "exposeHeaders: §[\(list(65) { "a\($0)" })]", "exposeHeaders", "has 65 entries; at most 64 are allowed"
      ),
    ])
  func cors(body: String, field: String, message: String) {
    check(RouteMistake("rules[0].filters[0].cors.\(field)", message, filter("{type: CORS, cors: {\(body)}}")))
  }

  @Test(
    "in timeouts and retries",
    arguments: [
      ("timeouts: {request: §10}", "timeouts.request", "must be a duration, not the number 10; write 10s for seconds"),
      (
        "timeouts: {request: §1.5s}", "timeouts.request",
        "\"1.5s\" is not a duration; write whole numbers with h, m, s or ms, such as 1m30s"
      ),
      (
        "timeouts: {request: §8761h}", "timeouts.request",
        "\"8761h\" is longer than a year; write 8760h at most, or 0s for no limit"
      ),
      (
        "timeouts: {request: 1s, backendRequest: §1001ms}", "timeouts.backendRequest",
        "is longer than request, which no attempt can outlast; make it at most as long"
      ),
      ("retry: {codes: [§200]}", "retry.codes[0]", "must be a whole number from 400 to 599, not 200"),
      ("retry: {attempts: §101}", "retry.attempts", "must be a whole number from 0 to 100, not 101"),
      (
        "retry: {backoff: §0s}", "retry.backoff",
        "repeating without a wait is not supported; write 1ms or more, or remove it for 25ms"
      ),
    ])
  func times(body: String, field: String, message: String) {
    check(RouteMistake("rules[0].\(field)", message, http(body)))
  }

  @Test(
    "in GRPCRoutes",
    arguments: [
      RouteMistake(
        "rules[0].matches[0].method", "must name a service, a method or both; remove it to match every method",
        grpc("matches: [{method: §{type: Exact}}]")),
      RouteMistake(
        "rules[0].matches[0].method.service",
        "\"shop/Orders\" is not a name of gRPC; write it as in the .proto file, such as shop.v1.Orders",
        grpc("matches: [{method: {service: §shop/Orders}}]")),
      RouteMistake(
        "rules[0].matches[0].method.method",
        "\"9lives\" is not a name of gRPC; write it as in the .proto file, such as Create",
        grpc("matches: [{method: {method: §9lives}}]")),
      RouteMistake(
        "rules[0].matches[0].path", "is not a field of this object; known fields: headers, method",
        grpc("matches: [{§path: {value: /}}]")),
      RouteMistake(
        "rules[0].filters[0].type",
        "\"URLRewrite\" is not a known value; use one of RequestHeaderModifier, ResponseHeaderModifier, RequestMirror",
        grpc("filters: [{type: §URLRewrite, urlRewrite: {}}]")),
      RouteMistake(
        "rules[0].timeouts",
        "is not a field of this object; known fields: backendRefs, filters, matches, name, "
          + "sessionPersistence",
        grpc("§timeouts: {request: 1s}")),
    ])
  func grpcRoutes(_ mistake: RouteMistake) { check(mistake) }

  @Test("two patterns of a GRPCRoute that are too large together are refused at their match")
  func largePatterns() {
    let part = String(repeating: "a", count: 600)
    let text = grpc("matches: [{method: {type: RegularExpression, service: \(part), method: \(part)}}]")
    #expect(
      ManifestParser.parse(file: "f.yaml", text: text).errors.map(\.field) == ["spec.rules[0].matches[0].method"])
    #expect(ManifestParser.parse(file: "f.yaml", text: text.replacing(part, with: "a")).errors.isEmpty)
  }

  @Test("filters that exclude each other are told apart from values that are not supported")
  func reasons() {
    func reasons(_ text: String) -> [ManifestProblem.Reason] {
      ManifestParser.parse(file: "f.yaml", text: text).errors.map(\.reason)
    }
    #expect(
      reasons(filter("{type: URLRewrite, urlRewrite: {}}, {type: RequestRedirect, requestRedirect: {}}"))
        == [.incompatibleFilters])
    #expect(reasons(filter("{type: ExtensionRef}")) == [.unsupportedValue])
  }

  @Test(
    "in routes for connections",
    arguments: [
      RouteMistake("rules", "is required; list one rule with backendRefs", tcp("§parentRefs: \(service)")),
      RouteMistake("rules", "must not be empty; list one rule with backendRefs", tcp("\(parent)  rules: §[]")),
      RouteMistake(
        "rules", "has 2 entries; at most 1 are allowed",
        tcp("\(parent)  rules: §[{backendRefs: [\(backend)]}, {backendRefs: [\(backend)]}]")),
      RouteMistake(
        "rules[0].backendRefs", "is required; list the Services that the connections go to",
        tcp("\(parent)  rules: [§{name: a}]")),
      RouteMistake(
        "rules[0].backendRefs", "must not be empty; list the Services that the connections go to",
        tcp("\(parent)  rules: [{backendRefs: §[]}]")),
      RouteMistake(
        "rules[0].backendRefs[0].filters",
        "is not a field of this object; known fields: group, kind, name, namespace, port, weight",
        tcp("\(parent)  rules: [{backendRefs: [{name: a, port: 80, §filters: []}]}]")),
      RouteMistake(
        "rules[0].matches", "is not a field of this object; known fields: backendRefs, name",
        tcp("\(parent)  rules: [{§matches: [], backendRefs: [\(backend)]}]")),
      RouteMistake(
        "rules[0].backendRefs[0].weight", "must be a whole number from 0 to 1000000, not 1000001",
        tcp("\(parent)  rules: [{backendRefs: [{name: a, port: 80, weight: §1000001}]}]")),
      RouteMistake(
        "hostnames", "is not a field of this object; known fields: parentRefs, rules, useDefaultGateways",
        tcp("§hostnames: [a]\n  \(parent)  rules: [{backendRefs: [\(backend)]}]")),
    ])
  func connectionRoutes(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in names of TLS servers",
    arguments: [
      RouteMistake(
        "hostnames", "is required; list the servers that clients ask for",
        route("§\(parent)  rules: [{backendRefs: [\(backend)]}]", kind: "TLSRoute")),
      RouteMistake("hostnames", "must not be empty; list the servers that clients ask for", tls("§[]")),
      RouteMistake(
        "hostnames", "has 1025 entries; at most 1024 are allowed", tls("§[\(list(1025) { "a\($0)" })]")),
      RouteMistake(
        "hostnames[1]", "\"10.0.0.1\" is an address; TLS clients ask for names; write a name such as db.example.com",
        tls("[a.b, §10.0.0.1]")),
      RouteMistake("hostnames[0]", "\"A.b\" is not a hostname; write a.b", tls("[§A.b]")),
    ]
      + ["a.*.b", "*", "*.", "a_b", "a..b", "-a", "a.b:443", "*.*.b"].map { name in
        RouteMistake(
          "hostnames[0]", "\"\(name)\" is not a hostname; write a name such as db.example.com or *.example.com",
          tls("[§\"\(name)\"]"))
      })
  func serverNames(_ mistake: RouteMistake) { check(mistake) }
}
