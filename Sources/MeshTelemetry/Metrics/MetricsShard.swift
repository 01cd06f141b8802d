package import MeshCore

/// The counters and histograms of one worker.
///
/// Confined to that worker: recording is a few array updates, with no lock, atomic or allocation once a series is
/// known. The worker hands out `snapshot()` when asked. Limits: `maximumSeries` label sets in each of
/// `request_total`, `response_total`, `response_latency_ms`, `retries_total`, of backends and of faults; what comes later is counted in one series per
/// direction whose label values are "overflow", and in `metrics_series_overflow_total`. `maximumReasons` names of TLS
/// failures, protocol errors and limits together.
package final class MetricsShard {
  package static let maximumSeries = 2_000
  package static let maximumReasons = 200

  package let labels: LabelInterner
  private let maximum: Int
  private var known: [RequestSeriesKey: Int] = [:]
  private var knownLatencies: [LatencySeriesKey: Int32] = [:]
  /// Behind a pointer, because each access to a class's stored property costs a run-time exclusivity check, which would
  /// outweigh the counting itself. Owned by this object; only its methods reach it.
  private let data: UnsafeMutablePointer<MetricsSnapshot>
  private let buckets = LatencyBucketIndex()

  package init(labels: LabelInterner = LabelInterner(), maximumSeries: Int = MetricsShard.maximumSeries) {
    self.labels = labels
    maximum = max(maximumSeries, TrafficDirection.allCases.count)
    data = .allocate(capacity: 1)
    data.initialize(to: MetricsSnapshot())
    // The overflow series stand first, so that they always exist: index = direction.
    for direction in TrafficDirection.allCases { addSeries(.overflow(direction)) }
    data.pointee.reserve()
  }

  deinit {
    data.deinitialize(count: 1)
    data.deallocate()
  }

  // MARK: - Requests

  /// The series of `key`, made if necessary. Keep the number: it stays valid for the life of the shard.
  package func series(for key: RequestSeriesKey) -> Int {
    if let index = known[key] { return index }
    guard data.pointee.series.count < maximum + TrafficDirection.allCases.count else {
      data.pointee.overflows &+= 1
      return Int(key.direction.rawValue)
    }
    return addSeries(key)
  }

  @discardableResult
  private func addSeries(_ key: RequestSeriesKey) -> Int {
    let index = data.pointee.series.count
    let latencyKey = key.latencyKey
    let latency: Int32
    if let existing = knownLatencies[latencyKey] {
      latency = existing
    } else {
      latency = Int32(data.pointee.latencyKeys.count)
      knownLatencies[latencyKey] = latency
      data.pointee.latencyKeys.append(latencyKey)
      data.pointee.latencyCounts.append(contentsOf: repeatElement(0, count: LatencyBuckets.count))
      data.pointee.latencySums.append(0)
    }
    known[key] = index
    data.pointee.series.append(.init(key: key, latency: latency))
    return index
  }

  /// A request was received or sent: `request_total`.
  package func recordRequest(_ series: Int) {
    data.pointee.series[series].requests &+= 1
  }

  /// A response was sent or received, or the request ended without one (`status` 0). `latency` is the time to the first
  /// byte of the response head; nil, as when nothing was sent, enters no histogram.
  package func recordResponse(
    _ series: Int, status: UInt16, flag: ResponseFlag = .none, grpc: GRPCOutcome = .notGRPC, latency: TimeSpan?
  ) {
    var cell = data.pointee.series[series].firstCell
    while cell >= 0 {
      let known = data.pointee.cells[Int(cell)]
      if known.status == status, known.flag == flag, known.grpc == grpc { break }
      cell = data.pointee.cells[Int(cell)].next
    }
    if cell < 0 { cell = addCell(series, status, flag, grpc) }
    data.pointee.cells[Int(cell)].count &+= 1
    if let latency { recordLatency(Int(data.pointee.series[series].latency), latency) }
  }

  private func recordLatency(_ histogram: Int, _ latency: TimeSpan) {
    data.pointee.latencyCounts[histogram &* LatencyBuckets.count &+ buckets.bucket(latency)] &+= 1
    data.pointee.latencySums[histogram] &+= UInt64(max(latency.nanoseconds, 0))
  }

  /// A status and flag new to the series; past the limit, the overflow series' cell for failures or successes.
  private func addCell(_ series: Int, _ status: UInt16, _ flag: ResponseFlag, _ grpc: GRPCOutcome) -> Int32 {
    var owner = series
    var status = status
    var flag = flag
    var grpc = grpc
    if data.pointee.cells.count - data.pointee.overflowCells >= maximum {
      data.pointee.overflows &+= 1
      owner = Int(data.pointee.series[series].key.direction.rawValue)
      let isFailure = MetricsSnapshot.isFailure(status, flag, grpc)
      status = isFailure ? MetricsSnapshot.overflowFailure : MetricsSnapshot.overflowSuccess
      flag = .none
      grpc = .notGRPC
      var cell = data.pointee.series[owner].firstCell
      while cell >= 0 {
        if data.pointee.cells[Int(cell)].status == status { return cell }
        cell = data.pointee.cells[Int(cell)].next
      }
      data.pointee.overflowCells += 1
    }
    let cell = Int32(data.pointee.cells.count)
    data.pointee.cells.append(
      .init(series: Int32(owner), status: status, flag: flag, grpc: grpc, next: data.pointee.series[owner].firstCell))
    data.pointee.series[owner].firstCell = cell
    return cell
  }

  // MARK: - Retries

  /// A request is sent again (`retries_total`), or not because the backend's budget is spent (`retry_overflow_total`): the
  /// key is without a reason then.
  package func countRetry(_ key: RetrySeriesKey) {
    var key = key
    if data.pointee.retries[key] == nil, data.pointee.retries.count >= maximum {
      data.pointee.overflows &+= 1
      key = .overflow(key.direction, key.reason)
    }
    data.pointee.retries[key, default: 0] &+= 1
  }

  // MARK: - Backends

  /// The families of `BackendEvent`.
  package func countBackend(_ key: BackendSeriesKey) {
    var key = key
    if data.pointee.backendEvents[key] == nil, data.pointee.backendEvents.count >= maximum {
      data.pointee.overflows &+= 1
      key = BackendSeriesKey(backend: LabelInterner.overflow, namespace: LabelInterner.overflow, event: key.event)
    }
    data.pointee.backendEvents[key, default: 0] &+= 1
  }

  // MARK: - Compression

  /// `response_compressed_total` and the two beside it.
  package func countCompression(service: Int32, namespace: Int32, bytesIn: UInt64, bytesOut: UInt64) {
    // As many as the workload has ports: configuration, not clients, makes them.
    data.pointee.compression[CompressionSeriesKey(service: service, namespace: namespace), default: CompressionCounts()]
      .add(bytesIn, bytesOut)
  }

  // MARK: - Tokens

  /// `request_authentication_total`. `result` is a literal.
  package func countToken(service: Int32, namespace: Int32, result: StaticString) {
    for i in data.pointee.tokens.indices where data.pointee.tokens[i].isFor(service, namespace, result) {
      data.pointee.tokens[i].count &+= 1
      return
    }
    // As many as the workload has ports, times the results: configuration, not clients, makes them.
    data.pointee.tokens.append(TokenSeries(service: service, namespace: namespace, result: result, count: 1))
  }

  // MARK: - Faults

  /// `injected_faults_total`.
  package func countFault(_ key: FaultSeriesKey) {
    var key = key
    if data.pointee.faults[key] == nil, data.pointee.faults.count >= maximum {
      data.pointee.overflows &+= 1
      key = .overflow(key.kind)
    }
    data.pointee.faults[key, default: 0] &+= 1
  }

  // MARK: - Authorization

  /// `authorization_denied_total` and `authorization_audited_total`. Configuration, not callers, makes series.
  package func countAuthorization(_ key: AuthorizationSeriesKey) {
    data.pointee.authorizations[key, default: 0] &+= 1
  }

  // MARK: - Mesh TLS and egress

  /// `inbound_plaintext_requests_total`.
  package func countPlaintext(isAllowed: Bool) { count(.plaintext, .inbound, isAllowed ? "allowed" : "refused") }

  /// `egress_requests_total`.
  package func countEgress(_ key: EgressSeriesKey) {
    var key = key
    if data.pointee.egress[key] == nil, data.pointee.egress.count >= maximum {
      data.pointee.overflows &+= 1
      key.host = LabelInterner.overflow
    }
    data.pointee.egress[key, default: 0] &+= 1
  }

  // MARK: - Connections

  package func connectionOpened(_ kind: ConnectionSeries) {
    data.pointee.connections[kind.index].opened &+= 1
  }

  package func connectionClosed(_ kind: ConnectionSeries) {
    data.pointee.connections[kind.index].closed &+= 1
  }

  /// Bytes moved since the last call for the same connection, once per flush or at the close.
  package func connectionMoved(_ kind: ConnectionSeries, read: UInt64, written: UInt64) {
    data.pointee.connections[kind.index].read &+= read
    data.pointee.connections[kind.index].written &+= written
  }

  // MARK: - Reasons

  /// `tls_handshake_failures_total`. `reason` is a word such as `expired`.
  package func tlsFailure(_ direction: TrafficDirection, _ reason: StaticString) {
    count(.tlsFailure, direction, reason)
  }

  /// `tls_handshakes_total`.
  package func tlsHandshake(_ direction: TrafficDirection, resumed: Bool) {
    count(.tlsHandshake, direction, resumed ? "true" : "false")
  }

  /// `tls_connections_ended_total`.
  package func tlsEnded(_ direction: TrafficDirection, _ reason: StaticString) {
    count(.tlsEnded, direction, reason)
  }

  /// `protocol_errors_total`. `reason` is the engine's name of the error.
  package func protocolError(_ direction: TrafficDirection, _ reason: StaticString) {
    count(.protocolError, direction, reason)
  }

  /// `reserved_fields_removed_total`.
  package func reservedFields(_ direction: TrafficDirection) { count(.reserved, direction, "") }

  /// `limit_hits_total`.
  package func limitHit(_ limit: StaticString) {
    count(.limit, .inbound, limit)
  }

  private func count(_ kind: ReasonCount.Kind, _ direction: TrafficDirection, _ reason: StaticString) {
    for i in data.pointee.reasons.indices where data.pointee.reasons[i].isFor(kind, direction, reason) {
      data.pointee.reasons[i].count &+= 1
      return
    }
    let isLast = data.pointee.reasons.count >= Self.maximumReasons
    if isLast { data.pointee.overflows &+= 1 }
    if isLast && "\(reason)" != "overflow" { return count(kind, direction, "overflow") }
    data.pointee.reasons.append(ReasonCount(kind: kind, direction: direction, reason: reason, count: 1))
  }

  // MARK: - Reading

  /// A copy for the thread that renders. Costs one copy of the arrays when the worker next writes to them.
  package func snapshot() -> MetricsSnapshot {
    var copy = data.pointee
    copy.strings = labels.strings
    return copy
  }
}
