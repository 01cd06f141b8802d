package import MeshCore

/// Where an adaptive limit stands, of one port of the workload.
package struct ConcurrencyGauge: Sendable {
  package var service: String
  package var namespace: String
  package var port: UInt16
  package var limit: Int
  package var inFlight: Int
  /// Zero until it was measured.
  package var unloadedLatency: TimeSpan

  package init(
    service: String, namespace: String, port: UInt16, limit: Int, inFlight: Int, unloadedLatency: TimeSpan
  ) {
    self.service = service
    self.namespace = namespace
    self.port = port
    self.limit = limit
    self.inFlight = inFlight
    self.unloadedLatency = unloadedLatency
  }

  static func write(_ gauges: [ConcurrencyGauge], to writer: inout PrometheusWriter) {
    if gauges.isEmpty { return }
    func family(_ name: String, _ help: String, _ value: (ConcurrencyGauge) -> String) {
      writer.family(name, "gauge", help)
      for gauge in gauges { writer.sample(name, gauge.labels, value(gauge)) }
    }
    family("adaptive_concurrency_limit", "Requests that the application gets at a time.") { "\($0.limit)" }
    family("adaptive_concurrency_in_flight", "Requests that it has now.") { "\($0.inFlight)" }
    family("adaptive_concurrency_unloaded_latency_ms", "What its answers take without a queue, as measured last.") {
      "\(Double($0.unloadedLatency.nanoseconds / 1_000) / 1_000)"
    }
  }

  private var labels: String {
    LabelText.join([("dst_service", service), ("dst_namespace", namespace), ("port", "\(port)")])
  }
}
