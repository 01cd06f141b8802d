/// Renders snapshots in the Prometheus text exposition format, version 0.0.4.
///
/// Shards are merged by label set. Families come in a fixed order and series sorted by their labels, so that two
/// scrapes of the same values are equal. Runs on the control thread.
package enum PrometheusText {
  package static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

  package static func render(
    _ snapshots: [MetricsSnapshot], process: ProcessMetrics, families: MetricsFamilies = .linkerd
  ) -> [UInt8] {
    var writer = PrometheusWriter()
    let merged = MergedRequests(snapshots, process: process, families: families)
    if families.contains(.linkerd) { merged.linkerd.write(.linkerd, to: &writer) }
    if families.contains(.istio) { merged.istio.write(.istio, to: &writer) }
    writeRetries(snapshots, to: &writer)
    writeBackends(snapshots, to: &writer)
    writeFaults(snapshots, to: &writer)
    AuthorizationSeriesKey.write(snapshots, to: &writer)
    TokenSeries.write(snapshots, to: &writer)
    writeKeySets(process, to: &writer)
    EgressSeriesKey.write(snapshots, to: &writer)
    ConcurrencyGauge.write(process.concurrency, to: &writer)
    CompressionCounts.write(snapshots, to: &writer)
    writeConnections(snapshots, to: &writer)
    writeReasons(snapshots, to: &writer)
    writeProcess(process, to: &writer)
    return writer.bytes
  }

  private static func writeRetries(_ snapshots: [MetricsSnapshot], to writer: inout PrometheusWriter) {
    var sent: [String: UInt64] = [:]
    var refused: [String: UInt64] = [:]
    for snapshot in snapshots {
      for (key, count) in snapshot.retries {
        if key.reason == nil {
          refused[key.labels(snapshot.strings), default: 0] &+= count
        } else {
          sent[key.labels(snapshot.strings), default: 0] &+= count
        }
      }
    }
    writer.counters("retries_total", "Requests sent again, by the failure before.", sent)
    writer.counters("retry_overflow_total", "Requests not sent again because the budget was spent.", refused)
  }

  private static func writeBackends(_ snapshots: [MetricsSnapshot], to writer: inout PrometheusWriter) {
    for family in BackendFamily.allCases {
      var sums: [String: UInt64] = [:]
      for snapshot in snapshots {
        for (key, count) in snapshot.backendEvents where key.event.family == family {
          sums[key.labels(snapshot.strings), default: 0] &+= count
        }
      }
      writer.counters(family.name, family.help, sums)
    }
  }

  private static func writeFaults(_ snapshots: [MetricsSnapshot], to writer: inout PrometheusWriter) {
    var sums: [String: UInt64] = [:]
    for snapshot in snapshots {
      for (key, count) in snapshot.faults { sums[key.labels(snapshot.strings), default: 0] &+= count }
    }
    writer.counters("injected_faults_total", "Faults that requests met on purpose, by FaultInjection.", sums)
  }

  private static func writeConnections(_ snapshots: [MetricsSnapshot], to writer: inout PrometheusWriter) {
    var sums = [MetricsSnapshot.Connections](repeating: .init(), count: ConnectionSeries.count)
    for snapshot in snapshots {
      for (i, one) in snapshot.connections.enumerated() {
        sums[i].opened &+= one.opened
        sums[i].closed &+= one.closed
        sums[i].read &+= one.read
        sums[i].written &+= one.written
      }
    }
    let labels = sums.indices.map { i in
      let key = ConnectionSeries(index: i)
      return LabelText.join([
        ("direction", "\(key.direction.text)"), ("peer", "\(key.peer.text)"), ("tls", "\(key.security.text)"),
      ])
    }
    func family(
      _ name: String, _ type: String, _ help: String, _ value: (MetricsSnapshot.Connections) -> UInt64
    ) {
      writer.family(name, type, help)
      for i in sums.indices where sums[i].opened > 0 { writer.sample(name, labels[i], "\(value(sums[i]))") }
    }
    family("tcp_open_connections", "gauge", "Connections open now.") { $0.opened &- min($0.closed, $0.opened) }
    family("tcp_open_total", "counter", "Connections opened.") { $0.opened }
    family("tcp_close_total", "counter", "Connections closed.") { $0.closed }
    family("tcp_read_bytes_total", "counter", "Bytes read from the peer.") { $0.read }
    family("tcp_write_bytes_total", "counter", "Bytes written to the peer.") { $0.written }
  }

  private static func writeReasons(_ snapshots: [MetricsSnapshot], to writer: inout PrometheusWriter) {
    func family(_ kind: ReasonCount.Kind, _ name: String, _ help: String) {
      var sums: [String: UInt64] = [:]
      for snapshot in snapshots {
        for reason in snapshot.reasons where reason.kind == kind {
          let text = "\(reason.reason)"
          let labels =
            switch kind {
            case .limit: LabelText.join([("limit", text)])
            case .plaintext: LabelText.join([("decision", text)])
            case .tlsHandshake: LabelText.join([("direction", "\(reason.direction.text)"), ("resumed", text)])
            case .reserved: LabelText.join([("direction", "\(reason.direction.text)")])
            case .tlsFailure, .tlsEnded, .protocolError:
              LabelText.join([("direction", "\(reason.direction.text)"), ("reason", text)])
            }
          sums[labels, default: 0] &+= reason.count
        }
      }
      writer.counters(name, help, sums)
    }
    family(.tlsHandshake, "tls_handshakes_total", "TLS handshakes that succeeded, full or resumed.")
    family(.tlsFailure, "tls_handshake_failures_total", "TLS handshakes that failed, by reason.")
    family(
      .tlsEnded, "tls_connections_ended_total", "Live connections cut because their peers are not trusted any more.")
    family(.protocolError, "protocol_errors_total", "Messages that broke HTTP, by reason.")
    family(
      .plaintext, "inbound_plaintext_requests_total", "Requests without a certificate of the mesh, taken or refused.")
    family(
      .reserved, "reserved_fields_removed_total", "Requests that came with fields which only proxies of the mesh write."
    )
    family(.limit, "limit_hits_total", "Times a limit of the proxy was reached.")
    writer.single(
      "metrics_series_overflow_total", "counter", "Look-ups of label sets past the limit; counted as \"overflow\".",
      "\(snapshots.reduce(UInt64(0)) { $0 &+ $1.overflows })")
  }

  private static func writeProcess(_ process: ProcessMetrics, to writer: inout PrometheusWriter) {
    if let expiration = process.certificateExpiration {
      writer.single(
        "identity_cert_expiration_timestamp_seconds", "gauge", "Unix time at which the certificate expires.",
        number(expiration))
    }
    if let expiration = process.issuerExpiration {
      writer.single(
        "identity_issuer_expiration_timestamp_seconds", "gauge",
        "Unix time at which the first of the authorities above the certificate expires.", number(expiration))
    }
    if let expiration = process.rootExpiration {
      writer.single(
        "identity_root_expiration_timestamp_seconds", "gauge",
        "Unix time at which the root above the certificate expires.",
        number(expiration))
    }
    writer.single(
      "identity_cert_refresh_total", "counter", "Certificates obtained.", "\(process.certificateRefreshes)")
    if let age = process.configAgeSeconds {
      writer.single(
        "config_age_seconds", "gauge", "Time since the configuration in force was known to be the newest.",
        number(age))
    }
    writer.single("config_version", "gauge", "Version of the configuration in force.", "\(process.configVersion)")
    writer.single(
      "discovery_connected", "gauge", "1 while the stream to the controller is open.",
      process.discoveryConnected ? "1" : "0")
    writer.single(
      "discovery_rejected_total", "counter", "Configuration updates refused.", "\(process.discoveryRejected)")
    writer.family("dns_lookups_total", "counter", "Names outside the mesh that the DNS was asked for.")
    writer.sample("dns_lookups_total", LabelText.join([("result", "answered")]), "\(process.dnsAnswered)")
    writer.sample("dns_lookups_total", LabelText.join([("result", "failed")]), "\(process.dnsFailed)")
    writer.family("admin_requests_refused_total", "counter", "Changes over the admin port refused, by reason.")
    for (reason, count) in process.adminRefused {
      writer.sample("admin_requests_refused_total", LabelText.join([("reason", reason)]), "\(count)")
    }
    writer.family("proxy_build_info", "gauge", "Always 1; the label tells the version.")
    writer.sample("proxy_build_info", LabelText.join([("version", process.version)]), "1")
    writer.single("process_cpu_seconds_total", "counter", "User and system CPU time.", number(process.cpuSeconds))
    writer.single("process_resident_memory_bytes", "gauge", "Resident memory.", "\(process.residentBytes)")
    writer.single(
      "key_memory_bytes", "gauge", "Locked memory for private keys; 0 where the ordinary heap serves.",
      "\(process.keyMemoryBytes)")
    writer.single("key_memory_used_bytes", "gauge", "What is taken of it.", "\(process.keyMemoryUsed)")
    writer.single("process_open_fds", "gauge", "Open file descriptors.", "\(process.openDescriptors)")
    writer.single(
      "process_start_time_seconds", "gauge", "Unix time at which the process started.",
      number(process.startTimeSeconds))
  }

  /// Shortest decimal; whole numbers without a fraction.
  static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
  }
}

/// Label sets as text, `a="x",b="y"`, without braces.
enum LabelText {
  static func join(_ labels: [(String, String)]) -> String {
    var text = ""
    for (name, value) in labels {
      if !text.isEmpty { text += "," }
      text += name
      text += "=\""
      text += escape(value)
      text += "\""
    }
    return text
  }

  /// Backslash, quote and line feed (exposition format, "Comments, help text, and type information").
  static func escape(_ value: String) -> String {
    guard value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x0A }) else { return value }
    var text = ""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}

/// Collects lines of the exposition format.
struct PrometheusWriter {
  private(set) var bytes: [UInt8] = []

  init() { bytes.reserveCapacity(16 * 1024) }

  mutating func family(_ name: String, _ type: String, _ help: String) {
    bytes.append(contentsOf: "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n".utf8)
  }

  mutating func sample(_ name: String, _ labels: String, _ value: String) {
    bytes.append(contentsOf: name.utf8)
    if !labels.isEmpty {
      bytes.append(UInt8(ascii: "{"))
      bytes.append(contentsOf: labels.utf8)
      bytes.append(UInt8(ascii: "}"))
    }
    bytes.append(UInt8(ascii: " "))
    bytes.append(contentsOf: value.utf8)
    bytes.append(UInt8(ascii: "\n"))
  }

  mutating func single(_ name: String, _ type: String, _ help: String, _ value: String) {
    family(name, type, help)
    sample(name, "", value)
  }

  mutating func counters(_ name: String, _ help: String, _ values: [String: UInt64]) {
    family(name, "counter", help)
    for (labels, value) in values.sorted(by: { $0.key < $1.key }) { sample(name, labels, "\(value)") }
  }

  mutating func histograms(_ name: String, _ help: String, _ values: [String: MergedHistogram]) {
    family(name, "histogram", help)
    for (labels, histogram) in values.sorted(by: { $0.key < $1.key }) {
      let separator = labels.isEmpty ? "" : ","
      var total: UInt64 = 0
      for (bound, count) in zip(LatencyBuckets.labels, histogram.counts) {
        total &+= count
        sample(name + "_bucket", labels + separator + "le=\"\(bound)\"", "\(total)")
      }
      sample(name + "_sum", labels, PrometheusText.number(Double(histogram.nanoseconds) / 1e6))
      sample(name + "_count", labels, "\(total)")
    }
  }
}
