/// Tells the endpoints of a backend apart by a label; a field of each request says which of them it wants.
package struct SubsetPolicy: Hashable, Sendable {
  /// What becomes of a request for which no endpoint is available.
  package enum Fallback: UInt8, Hashable, Sendable, CaseIterable {
    /// Any endpoint of the backend serves it.
    case any
    /// Those that requests without the field go to.
    case `default`
    /// Endpoints of the subset that are out are tried nevertheless. Where there are none at all, the request fails.
    case none
  }

  /// In lower case.
  package var header: String
  package var label: String
  /// The label's value for requests without the field. Nil: they go to any endpoint.
  package var defaultValue: String?
  package var fallback: Fallback

  package init(header: String, label: String, defaultValue: String? = nil, fallback: Fallback = .any) {
    self.header = header
    self.label = label
    self.defaultValue = defaultValue
    self.fallback = fallback
  }
}
