/// The labels of a count of requests that leave the mesh. Strings are ids of the shard's `LabelInterner`.
package struct EgressSeriesKey: Hashable, Sendable {
  /// With its port.
  package var host: Int32
  /// What decided: the mode, `registry`, or the name of a rule.
  package var reason: Int32
  package var isAllowed: Bool

  package init(host: Int32, reason: Int32, isAllowed: Bool) {
    self.host = host
    self.reason = reason
    self.isAllowed = isAllowed
  }

  static func write(_ snapshots: [MetricsSnapshot], to writer: inout PrometheusWriter) {
    var sums: [String: UInt64] = [:]
    for snapshot in snapshots {
      for (key, count) in snapshot.egress {
        let labels = LabelText.join([
          ("host", snapshot.strings[Int(key.host)]), ("decision", key.isAllowed ? "allowed" : "refused"),
          ("reason", snapshot.strings[Int(key.reason)]),
        ])
        sums[labels, default: 0] &+= count
      }
    }
    writer.counters(
      "egress_requests_total", "Requests and tunnels to hosts outside the mesh, by what the policy says.", sums)
  }
}
