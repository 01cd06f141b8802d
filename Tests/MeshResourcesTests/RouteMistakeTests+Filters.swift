import MeshResources
import Testing

private let pathOfRedirect = "type: RequestRedirect, requestRedirect: {path: "

extension RouteMistakeTests {
  @Test(
    "in filters",
    arguments: [
      RouteMistake(
        "rules[0].filters[0].type", "the filter ExtensionRef is not supported yet; remove the filter",
        filter: "{type: §ExtensionRef, extensionRef: {group: a, kind: B, name: c}}"),
      RouteMistake(
        "rules[0].filters[0].type", "the filter ExternalAuth is not supported yet; remove the filter",
        filter: "{type: §ExternalAuth}"),
      RouteMistake(
        "rules[0].filters[0].type", "\"UrlRewite\" is not a known value; did you mean URLRewrite?",
        filter: "{type: §UrlRewite}"),
      RouteMistake(
        "rules[0].filters[0].urlRewrite", "is required; say what the filter does", filter: "§{type: URLRewrite}"),
      RouteMistake(
        "rules[0].filters[0].urlRewrite",
        "goes with type: URLRewrite, not RequestRedirect; remove it, or make it a filter of its own",
        filter: "{type: RequestRedirect, requestRedirect: {}, urlRewrite: §{}}"),
      RouteMistake(
        "rules[0].filters[1]", "the filter CORS stands twice; only RequestMirror may; join the two",
        filter: "{type: CORS, cors: {}}, §{type: CORS, cors: {}}"),
      RouteMistake(
        "rules[0].filters[1]", "RequestRedirect and URLRewrite cannot stand together; remove one of the two",
        filter: "{type: URLRewrite, urlRewrite: {}}, §{type: RequestRedirect, requestRedirect: {}}"),
      RouteMistake(
        "rules[0].backendRefs",
        "cannot stand beside a RequestRedirect filter, which answers every request; remove the backendRefs or the filter",
        http: "filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: §[{name: a, port: 80}]"),
      RouteMistake(
        "rules[0].filters", "has 17 entries; at most 16 are allowed",
        http:
          "filters: §[\(list(17) { "{type: RequestMirror, requestMirror: {backendRef: {name: a\($0), port: 80}}}" })]"),
      RouteMistake(
        "rules[0].filters[0].requestHeaderModifier",
        "the header x-a has more than one action; keep one of set, add and "
          + "remove",
        filter: "{type: RequestHeaderModifier, requestHeaderModifier: §{set: [{name: x-a, value: b}], remove: [X-A]}}"),
      RouteMistake(
        "rules[0].backendRefs[0].filters[0].type", "the filter ExtensionRef is not supported yet; remove the filter",
        http: "backendRefs: [{name: a, port: 80, filters: [{type: §ExtensionRef}]}]"),
    ])
  func filters(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in redirects, rewrites and mirrors",
    arguments: [
      RouteMistake(
        "rules[0].filters[0].requestRedirect.statusCode",
        "300 is not a redirection that is known; use one of 301, 302, 303, 307, 308",
        filter: "{type: RequestRedirect, requestRedirect: {statusCode: §300}}"),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.scheme", "\"ftp\" is not a known value; use one of http, https",
        filter: "{type: RequestRedirect, requestRedirect: {scheme: §ftp}}"),
      RouteMistake(
        "rules[0].filters[0].urlRewrite.hostname",
        "\"Orders.example\" must be a DNS name of a-z, 0-9, \"-\" and \".\", 253 characters at most; "
          + "write orders.example",
        filter: "{type: URLRewrite, urlRewrite: {hostname: §Orders.example}}"),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.replaceFullPath", "is required; write the path to put in its place",
        filter: "{\(pathOfRedirect)§{type: ReplaceFullPath}}}"),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.replacePrefixMatch",
        "does not go with type: ReplaceFullPath; remove it",
        filter: "{\(pathOfRedirect){type: ReplaceFullPath, replaceFullPath: /a, replacePrefixMatch: §/b}}}"),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.replaceFullPath", "\"a\" must begin with /; write \"/a\"",
        filter: "{\(pathOfRedirect){type: ReplaceFullPath, replaceFullPath: §a}}}"),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.replaceFullPath",
        "\"/a b\" has a character that no path has; percent-encode it",
        filter: "{\(pathOfRedirect){type: ReplaceFullPath, replaceFullPath: §/a b}}}"),
      RouteMistake(
        "rules[0].filters[0].requestRedirect.path.type",
        "ReplacePrefixMatch needs a rule with exactly one match, of type PathPrefix; write one such match, or "
          + "ReplaceFullPath",
        http: "matches: [{path: {type: Exact, value: /a}}], filters: [{\(pathOfRedirect){type: §ReplacePrefixMatch, "
          + "replacePrefixMatch: /b}}}]"),
      RouteMistake(
        "rules[0].backendRefs[0].filters[0].urlRewrite.path.type",
        "ReplacePrefixMatch needs a rule with exactly one match, of type PathPrefix; write one such match, or "
          + "ReplaceFullPath",
        http: "matches: [{}, {}], backendRefs: [{name: a, port: 80, filters: [{type: URLRewrite, urlRewrite: "
          + "{path: {type: §ReplacePrefixMatch, replacePrefixMatch: /b}}}]}]"),
      RouteMistake(
        "rules[0].filters[0].requestMirror.percent", "cannot stand together with fraction; remove one of the two",
        filter:
          "{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, percent: §1, fraction: {numerator: 1}}}"
      ),
      RouteMistake(
        "rules[0].filters[0].requestMirror.percent", "must be a whole number from 0 to 100, not 101",
        filter: "{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, percent: §101}}"),
      RouteMistake(
        "rules[0].filters[0].requestMirror.fraction.numerator", "101 of 100 is more than all; swap the two",
        filter: "{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, fraction: {numerator: §101}}}"),
      RouteMistake(
        "rules[0].filters[0].requestMirror.backendRef.port", "is required; name the Service's port",
        filter: "{type: RequestMirror, requestMirror: {backendRef: §{name: a}}}"),
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
    check(RouteMistake("rules[0].filters[0].cors.\(field)", message, filter: "{type: CORS, cors: {\(body)}}"))
  }

  @Test("filters that exclude each other are told apart from values that are not supported")
  func reasons() {
    func reasons(_ text: String) -> [ManifestProblem.Reason] {
      ManifestParser.parse(file: "f.yaml", text: text).errors.map(\.reason)
    }
    #expect(
      reasons(RouteText.filter("{type: URLRewrite, urlRewrite: {}}, {type: RequestRedirect, requestRedirect: {}}"))
        == [.incompatibleFilters])
    #expect(reasons(RouteText.filter("{type: ExtensionRef}")) == [.unsupportedValue])
  }
}
