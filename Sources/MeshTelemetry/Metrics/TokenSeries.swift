/// What came of looking for a request's token. Service and namespace are ids of the shard's `LabelInterner`; the result is a word of
/// the program's own, so that there are few series.
struct TokenSeries: Sendable {
  var service: Int32
  var namespace: Int32
  var result: StaticString
  var count: UInt64 = 0

  /// Results are literals, each of which stands in one place: a pointer tells them apart. Two with one text are added up when they are
  /// written.
  @inline(__always)
  func isFor(_ service: Int32, _ namespace: Int32, _ result: StaticString) -> Bool {
    self.service == service && self.namespace == namespace && self.result.utf8Start == result.utf8Start
  }

  static func write(_ snapshots: [MetricsSnapshot], to writer: inout PrometheusWriter) {
    var sums: [String: UInt64] = [:]
    for snapshot in snapshots {
      for series in snapshot.tokens {
        let labels = LabelText.join([
          ("dst_service", snapshot.strings[Int(series.service)]),
          ("dst_namespace", snapshot.strings[Int(series.namespace)]), ("result", "\(series.result)"),
        ])
        sums[labels, default: 0] &+= series.count
      }
    }
    writer.counters(
      "request_authentication_total", "Requests to ports with a RequestAuthentication, by what their token was worth.",
      sums)
  }
}

extension PrometheusText {
  static func writeKeySets(_ process: ProcessMetrics, to writer: inout PrometheusWriter) {
    writer.family("jwks_fetches_total", "counter", "Key sets read or fetched to verify tokens with.")
    writer.sample("jwks_fetches_total", LabelText.join([("result", "success")]), "\(process.keySetsRead)")
    writer.sample("jwks_fetches_total", LabelText.join([("result", "failure")]), "\(process.keySetsFailed)")
  }
}
