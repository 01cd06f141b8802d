import Testing

/// A route with one mistake, at the place of the mark `§`, and what is told of it.
struct RouteMistake: Sendable, CustomTestStringConvertible {
  var text: String
  var expected: String
  var testDescription: String { expected }

  /// In the whole spec.
  init(_ field: String, _ message: String, spec: String, kind: String = "HTTPRoute") {
    let marked = MarkedManifest(RouteText.spec(spec, kind: kind))
    text = marked.text
    expected = "\(marked.place): \(kind) shop/orders: spec.\(field): \(message)"
  }

  /// In what stands beside the parents.
  init(_ field: String, _ message: String, beside: String, kind: String = "HTTPRoute") {
    self.init(field, message, spec: "\(RouteText.parent)  \(beside)", kind: kind)
  }

  /// In a rule of an HTTPRoute.
  init(_ field: String, _ message: String, http rule: String) {
    self.init(field, message, beside: "rules: [{\(rule)}]")
  }

  init(_ field: String, _ message: String, filter: String) {
    self.init(field, message, http: "filters: [\(filter)]")
  }

  /// In a rule of a GRPCRoute.
  init(_ field: String, _ message: String, grpc rule: String) {
    self.init(field, message, beside: "rules: [{\(rule)}]", kind: "GRPCRoute")
  }

  init(_ field: String, _ message: String, tcp: String) {
    self.init(field, message, beside: tcp, kind: "TCPRoute")
  }

  /// In the hostnames of a TLSRoute.
  init(_ field: String, _ message: String, tls names: String) {
    let rules = "rules: [{backendRefs: [{name: a, port: 80}]}]"
    self.init(field, message, beside: "hostnames: \(names)\n  \(rules)", kind: "TLSRoute")
  }
}

/// Routes by their interesting part.
enum RouteText {
  static let parent = "parentRefs: [{group: \"\", kind: Service, name: orders}]\n"

  static func spec(_ spec: String, kind: String = "HTTPRoute") -> String {
    """
    apiVersion: gateway.networking.k8s.io/v1
    kind: \(kind)
    metadata: {name: orders, namespace: shop}
    spec:
      \(spec)

    """
  }

  static func filter(_ filter: String) -> String { spec("\(parent)  rules: [{filters: [\(filter)]}]") }
  static func grpc(_ rule: String) -> String { spec("\(parent)  rules: [{\(rule)}]", kind: "GRPCRoute") }
}

/// The entries of a YAML list.
func list(_ count: Int, _ entry: (Int) -> String) -> String {
  (0..<count).map(entry).joined(separator: ", ")
}
