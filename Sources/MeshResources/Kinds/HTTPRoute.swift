package import MeshPolicy

/// A Gateway API `HTTPRoute` (v1, v1beta1) with `Service` parents: GAMMA, GEP-1294.
///
/// Only producer routes: a parent stands in the route's own namespace.
package struct HTTPRoute: Hashable, Sendable {
  /// Limits of the API's own schema.
  package static let maximumParents = 32
  package static let maximumRules = 16
  package static let maximumMatchesPerRule = 64
  package static let maximumMatches = 128
  package static let maximumFilters = 16
  package static let maximumBackends = 16
  package static let maximumHeaders = 16
  package static let maximumWeight = 1_000_000

  package var metadata: ObjectMetadata
  package var parents: [Parent]
  package var rules: [Rule]

  package init(metadata: ObjectMetadata, parents: [Parent], rules: [Rule]) {
    self.metadata = metadata
    self.parents = parents
    self.rules = rules
  }

  /// A service, or one port of it, that the route replaces the plain routing of.
  package struct Parent: Hashable, Sendable {
    package var service: String
    /// Nil: every port.
    package var port: UInt16?
    /// The name of a service port; nil: every port.
    package var sectionName: String?

    package init(service: String, port: UInt16? = nil, sectionName: String? = nil) {
      self.service = service
      self.port = port
      self.sectionName = sectionName
    }
  }

  package struct Rule: Hashable, Sendable {
    package var name: String?
    /// Alternatives, never empty.
    package var matches: [RouteMatch]
    package var filters: [RouteFilter]
    package var backends: [Backend]

    package init(
      name: String? = nil, matches: [RouteMatch] = [RouteMatch(path: .prefix("/"))], filters: [RouteFilter] = [],
      backends: [Backend]
    ) {
      self.name = name
      self.matches = matches
      self.filters = filters
      self.backends = backends
    }
  }

  package struct Backend: Hashable, Sendable {
    /// `Service`, or another kind, whose share of the requests is answered 500.
    package var kind: String
    package var namespace: String
    package var name: String
    package var port: UInt16
    package var weight: UInt32

    package init(kind: String = "Service", namespace: String, name: String, port: UInt16, weight: UInt32 = 1) {
      self.kind = kind
      self.namespace = namespace
      self.name = name
      self.port = port
      self.weight = weight
    }
  }
}
