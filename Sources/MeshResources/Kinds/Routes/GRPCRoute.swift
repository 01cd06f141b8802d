package import MeshPolicy

/// A Gateway API `GRPCRoute` (v1) with `Service` parents.
package struct GRPCRoute: Hashable, Sendable {
  package var metadata: ObjectMetadata
  package var parents: [RouteParent]
  package var rules: [Rule]

  package init(metadata: ObjectMetadata, parents: [RouteParent], rules: [Rule]) {
    self.metadata = metadata
    self.parents = parents
    self.rules = rules
  }

  package struct Rule: Hashable, Sendable {
    package var name: String?
    /// Alternatives; empty matches every call.
    package var matches: [Match]
    package var filters: [DeclaredFilter]
    package var backends: [RouteBackend]
    package var session: SessionPersistence?

    package init(
      name: String? = nil, matches: [Match] = [], filters: [DeclaredFilter] = [], backends: [RouteBackend],
      session: SessionPersistence? = nil
    ) {
      self.name = name
      self.matches = matches
      self.filters = filters
      self.backends = backends
      self.session = session
    }
  }

  package struct Match: Hashable, Sendable {
    /// Nil: every method.
    package var method: MethodMatch?
    package var headers: [HeaderMatch]

    package init(method: MethodMatch? = nil, headers: [HeaderMatch] = []) {
      self.method = method
      self.headers = headers
    }
  }

  /// At least one of the two names is set.
  package struct MethodMatch: Hashable, Sendable {
    /// The names are patterns for the whole service and the whole method.
    package var isRegularExpression: Bool
    /// Fully qualified: `shop.v1.Orders`.
    package var service: String?
    package var method: String?

    package init(isRegularExpression: Bool = false, service: String? = nil, method: String? = nil) {
      self.isRegularExpression = isRegularExpression
      self.service = service
      self.method = method
    }
  }
}

extension GRPCRoute.MethodMatch {
  /// A call of `Create` of `shop.v1.Orders` is a request for `/shop.v1.Orders/Create`.
  package var path: PathMatch {
    let anything = "[^/]+"
    if isRegularExpression {
      return .regularExpression("/\(service.map(Self.group) ?? anything)/\(method.map(Self.group) ?? anything)")
    }
    switch (service, method) {
    case (let service?, let method?): return .exact("/\(service)/\(method)")
    case (let service?, nil): return .prefix("/\(service)")
    // The name of a method has no character that means something in an expression.
    case (nil, let method): return .regularExpression("/\(anything)/\(method ?? anything)")
    }
  }

  /// The pattern describes the whole name, so anchors of its own say nothing more, and would match nowhere inside.
  private static func group(_ pattern: String) -> String {
    var pattern = Substring(pattern)
    if pattern.hasPrefix("^") { pattern.removeFirst() }
    if pattern.hasSuffix("$"), !pattern.hasSuffix("\\$") { pattern.removeLast() }
    return "(?:\(pattern))"
  }
}
