package import MeshPolicy

/// A Gateway API `HTTPRoute` (v1, v1beta1) with `Service` parents: GAMMA, GEP-1294.
package struct HTTPRoute: Hashable, Sendable {
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
    /// Alternatives, never empty.
    package var matches: [RouteMatch]
    package var filters: [DeclaredFilter]
    /// Empty beside a redirect.
    package var backends: [RouteBackend]
    package var timeouts: RouteTimeouts
    package var retry: RetryPolicy?
    package var session: SessionPersistence?

    package init(
      name: String? = nil, matches: [RouteMatch] = [RouteMatch(path: .prefix("/"))], filters: [DeclaredFilter] = [],
      backends: [RouteBackend], timeouts: RouteTimeouts = RouteTimeouts(), retry: RetryPolicy? = nil,
      session: SessionPersistence? = nil
    ) {
      self.name = name
      self.matches = matches
      self.filters = filters
      self.backends = backends
      self.timeouts = timeouts
      self.retry = retry
      self.session = session
    }
  }
}
