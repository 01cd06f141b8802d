/// A histogram summed over shards.
struct MergedHistogram {
  var counts = [UInt64](repeating: 0, count: LatencyBuckets.count)
  var nanoseconds: UInt64 = 0

  mutating func add(_ snapshot: MetricsSnapshot, histogram: Int) {
    let first = histogram * LatencyBuckets.count
    for i in 0..<LatencyBuckets.count { counts[i] &+= snapshot.latencyCounts[first + i] }
    nanoseconds &+= snapshot.latencySums[histogram]
  }
}

/// The request families of one naming, by label text.
struct RequestFamilies {
  enum Naming { case linkerd, istio }

  var requests: [String: UInt64] = [:]
  var responses: [String: UInt64] = [:]
  var latencies: [String: MergedHistogram] = [:]

  func write(_ naming: Naming, to writer: inout PrometheusWriter) {
    switch naming {
    case .linkerd:
      writer.counters("request_total", "Requests.", requests)
      writer.counters("response_total", "Responses, and requests that ended without one.", responses)
      writer.histograms(
        "response_latency_ms", "Time from the request's head to the first byte of the response's head.", latencies)
    case .istio:
      writer.counters("istio_requests_total", "Requests that ended.", responses)
      writer.histograms(
        "istio_request_duration_milliseconds",
        "Time from the request's head to the first byte of the response's head.", latencies)
    }
  }
}

/// The request counters of all shards, summed by label set under both namings.
struct MergedRequests {
  private(set) var linkerd = RequestFamilies()
  private(set) var istio = RequestFamilies()

  init(_ snapshots: [MetricsSnapshot], process: ProcessMetrics, families: MetricsFamilies) {
    for snapshot in snapshots {
      if families.contains(.linkerd) { addLinkerd(snapshot) }
      if families.contains(.istio) { addIstio(snapshot, process) }
    }
  }

  private mutating func addLinkerd(_ snapshot: MetricsSnapshot) {
    let labels = snapshot.series.map { linkerdLabels($0.key, snapshot.strings) }
    for (series, labels) in zip(snapshot.series, labels) where series.requests > 0 {
      linkerd.requests[labels, default: 0] &+= series.requests
    }
    for cell in snapshot.cells {
      let text =
        labels[Int(cell.series)] + ","
        + LabelText.join([
          ("status_code", statusText(cell.status)),
          ("classification", MetricsSnapshot.isFailure(cell.status, cell.flag, cell.grpc) ? "failure" : "success"),
          ("response_flag", flagText(cell)),
          ("grpc_status", grpcText(cell)),
        ])
      linkerd.responses[text, default: 0] &+= cell.count
    }
    for (index, key) in snapshot.latencyKeys.enumerated() where hasSamples(snapshot, index) {
      let strings = snapshot.strings
      let text = LabelText.join([
        ("direction", "\(key.direction.text)"), ("dst_service", strings[Int(key.service)]),
        ("dst_namespace", strings[Int(key.namespace)]), ("backend", strings[Int(key.backend)]),
        ("dst_workload", strings[Int(key.workload)]),
      ])
      linkerd.latencies[text, default: MergedHistogram()].add(snapshot, histogram: index)
    }
  }

  private mutating func addIstio(_ snapshot: MetricsSnapshot, _ process: ProcessMetrics) {
    let strings = snapshot.strings
    for cell in snapshot.cells {
      let key = snapshot.series[Int(cell.series)].key
      let mutual = key.security == .mutual
      let own = mutual ? process.identity : ""
      let peer = strings[Int(key.peer)]
      let isOutbound = key.direction == .outbound
      let text =
        istioLabels(
          key.direction, service: key.service, namespace: key.namespace, workload: key.workload, isGRPC: key.isGRPC,
          strings, process)
        + ","
        + LabelText.join([
          ("source_principal", known(isOutbound ? own : peer)),
          ("destination_principal", known(isOutbound ? peer : own)),
          ("response_code", statusText(cell.status)),
          ("response_flags", flagText(cell)),
          ("grpc_response_status", grpcText(cell)),
          ("connection_security_policy", mutual ? "mutual_tls" : "none"),
        ])
      istio.responses[text, default: 0] &+= cell.count
    }
    for (index, key) in snapshot.latencyKeys.enumerated() where hasSamples(snapshot, index) {
      let text = istioLabels(
        key.direction, service: key.service, namespace: key.namespace, workload: key.workload, isGRPC: key.isGRPC,
        strings, process)
      istio.latencies[text, default: MergedHistogram()].add(snapshot, histogram: index)
    }
  }

  private func hasSamples(_ snapshot: MetricsSnapshot, _ histogram: Int) -> Bool {
    let first = histogram * LatencyBuckets.count
    return snapshot.latencyCounts[first..<first + LatencyBuckets.count].contains { $0 > 0 }
  }

  private func statusText(_ status: UInt16) -> String {
    status >= MetricsSnapshot.overflowSuccess ? "overflow" : "\(status)"
  }

  private func flagText(_ cell: MetricsSnapshot.Cell) -> String {
    cell.status >= MetricsSnapshot.overflowSuccess ? "overflow" : "\(cell.flag.code)"
  }

  private func grpcText(_ cell: MetricsSnapshot.Cell) -> String {
    cell.status >= MetricsSnapshot.overflowSuccess ? "overflow" : "\(cell.grpc.label)"
  }

  private func linkerdLabels(_ key: RequestSeriesKey, _ strings: [String]) -> String {
    let isOverflow = key.service == LabelInterner.overflow && key.route == LabelInterner.overflow
    return LabelText.join([
      ("direction", "\(key.direction.text)"), ("dst_service", strings[Int(key.service)]),
      ("dst_namespace", strings[Int(key.namespace)]), ("route_name", strings[Int(key.route)]),
      ("backend", strings[Int(key.backend)]), ("dst_workload", strings[Int(key.workload)]),
      ("tls", isOverflow ? "overflow" : "\(key.security.text)"),
      (key.direction == .inbound ? "client_id" : "server_id", strings[Int(key.peer)]),
    ])
  }

  private func istioLabels(
    _ direction: TrafficDirection, service: Int32, namespace: Int32, workload: Int32, isGRPC: Bool,
    _ strings: [String], _ process: ProcessMetrics
  ) -> String {
    let isOutbound = direction == .outbound
    let service = strings[Int(service)]
    let namespace = strings[Int(namespace)]
    let host = service.isEmpty || namespace.isEmpty ? service : "\(service).\(namespace).svc.cluster.local"
    return LabelText.join([
      ("reporter", isOutbound ? "source" : "destination"),
      ("source_workload", known(isOutbound ? process.workload : "")),
      ("source_workload_namespace", known(isOutbound ? process.namespace : "")),
      ("destination_workload", known(isOutbound ? strings[Int(workload)] : process.workload)),
      ("destination_workload_namespace", known(isOutbound ? namespace : process.namespace)),
      ("destination_service", known(host)),
      ("destination_service_name", known(service)),
      ("destination_service_namespace", known(namespace)),
      ("request_protocol", isGRPC ? "grpc" : "http"),
    ])
  }

  /// Istio writes "unknown" for what is missing.
  private func known(_ value: String) -> String { value.isEmpty ? "unknown" : value }
}
