package import MeshPolicy

/// A filter as a route declares it. What a mirror names may not exist, so it is no `RouteFilter` yet.
package enum DeclaredFilter: Hashable, Sendable {
  case ready(RouteFilter)
  case mirror(DeclaredMirror)
}

package struct DeclaredMirror: Hashable, Sendable {
  package var backend: RouteBackendRef
  /// `numerator` of `denominator` requests.
  package var numerator: UInt32
  package var denominator: UInt32

  package init(backend: RouteBackendRef, numerator: UInt32 = 100, denominator: UInt32 = 100) {
    self.backend = backend
    self.numerator = numerator
    self.denominator = denominator
  }
}

extension [DeclaredFilter] {
  /// Whether one of them answers every request, so that no backend is asked.
  package var answer: Bool {
    contains { if case .ready(.redirect) = $0 { true } else { false } }
  }
}
