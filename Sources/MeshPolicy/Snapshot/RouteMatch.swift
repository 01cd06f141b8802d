/// Conditions that must all hold.
package struct RouteMatch: Hashable, Sendable {
  package var path: PathMatch?
  package var method: String?
  package var headers: [HeaderMatch]
  package var queryParameters: [QueryMatch]

  package init(
    path: PathMatch? = nil, method: String? = nil, headers: [HeaderMatch] = [], queryParameters: [QueryMatch] = []
  ) {
    self.path = path
    self.method = method
    self.headers = headers
    self.queryParameters = queryParameters
  }
}

/// A condition on the path, query excluded.
package enum PathMatch: Hashable, Sendable {
  case exact(String)
  /// Element-wise: `/abc` matches `/abc` and `/abc/d`, not `/abcd`.
  case prefix(String)
  /// POSIX extended syntax, anchored at both ends.
  case regularExpression(String)
}

package struct HeaderMatch: Hashable, Sendable {
  /// In lower case.
  package var name: String
  package var value: ValueMatch

  package init(name: String, value: ValueMatch) {
    self.name = name
    self.value = value
  }
}

/// A condition on the first query parameter of a name. Percent-encoding is not undone.
package struct QueryMatch: Hashable, Sendable {
  /// Case-sensitive.
  package var name: String
  package var value: ValueMatch

  package init(name: String, value: ValueMatch) {
    self.name = name
    self.value = value
  }
}

package enum ValueMatch: Hashable, Sendable {
  case exact(String)
  case regularExpression(String)
}
