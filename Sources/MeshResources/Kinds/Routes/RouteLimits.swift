package import MeshCore

/// Limits on a route: those of the API's own schema, and where it has none, ours.
package enum RouteLimits {
  package static let parents = 32
  package static let hostnames = 16
  /// Hostnames of a TLSRoute, which say whose connections it takes.
  package static let serverNames = 1024
  package static let rules = 16
  package static let matchesPerRule = 64
  package static let matches = 128
  package static let filters = 16
  package static let backends = 16
  /// Conditions on headers, or on query parameters, of one match; entries of one list of a header filter.
  package static let headers = 16
  /// Of `sessionPersistence`.
  package static let sessionNameBytes = 128
  package static let weight = 1_000_000
  /// Bytes of a path, and of a service or method of gRPC.
  package static let pathBytes = 1024
  package static let queryValueBytes = 1024
  package static let corsOrigins = 64
  package static let corsMethods = 9
  package static let corsHeaders = 64
  /// The API has no limit. More repeats than this only multiply an outage.
  package static let retries = 100
  /// As many as there are statuses from 400 to 599.
  package static let retryCodes = 200
  /// The API's durations reach 45 years; the proxy's timers hold one.
  package static let duration = TimeSpan.seconds(365 * 24 * 3600)
}
