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
    KeySetGauge.write(process.keySets, to: &writer)
  }
}

/// How the proxy stands with one source of keys.
package struct KeySetGauge: Sendable {
  /// A path, or a URL without its query.
  package var source: String
  package var keys: Int
  package var isFailing: Bool

  package init(source: String, keys: Int, isFailing: Bool) {
    self.source = source
    self.keys = keys
    self.isFailing = isFailing
  }

  /// Two sources may have one name, as URLs that differ in their queries have: the worst of them counts.
  fileprivate static func write(_ gauges: [KeySetGauge], to writer: inout PrometheusWriter) {
    var bySource: [String: KeySetGauge] = [:]
    for gauge in gauges {
      var worst = bySource[gauge.source] ?? gauge
      worst.keys = min(worst.keys, gauge.keys)
      worst.isFailing = worst.isFailing || gauge.isFailing
      bySource[gauge.source] = worst
    }
    let ordered = bySource.values.sorted { $0.source < $1.source }
    if ordered.isEmpty { return }
    writer.family("jwks_keys", "gauge", "Keys of a source that tokens can be verified with.")
    for gauge in ordered { writer.sample("jwks_keys", gauge.labels, "\(gauge.keys)") }
    writer.family("jwks_failing", "gauge", "1 while the keys of a source cannot be read or fetched.")
    for gauge in ordered { writer.sample("jwks_failing", gauge.labels, gauge.isFailing ? "1" : "0") }
  }

  private var labels: String { LabelText.join([("source", source)]) }
}
