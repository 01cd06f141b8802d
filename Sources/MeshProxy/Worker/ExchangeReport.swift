import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// The metric series that an endpoint used last.
struct SeriesCache {
  var service: ObjectIdentifier?
  var backend: ObjectIdentifier?
  var rule: Int32 = -1
  var peer: Int32 = -1
  var isGRPC = false
  var series = 0
}

/// Accounting at the end of an exchange: counters, latency histogram, access log.
enum ExchangeReport {
  static func record(_ exchange: Exchange, _ worker: ProxyWorker) {
    if exchange.fault == nil {
      count(exchange, flag: exchange.flag, delayed: .zero, worker)
    } else {
      recordFaults(exchange, worker)
    }
    if worker.accessLog.admits(&worker.loop.random) { log(exchange, worker) }
  }

  private static func count(_ exchange: Exchange, flag: ResponseFlag, delayed: TimeSpan, _ worker: ProxyWorker) {
    let series = series(of: exchange, worker)
    worker.metrics.recordRequest(series)
    let latency = exchange.responseStarted ? exchange.responseTime - exchange.startTime - delayed : nil
    worker.metrics.recordResponse(
      series, status: exchange.responseStarted ? exchange.status : 0, flag: flag, grpc: exchange.grpcOutcome,
      latency: latency)
  }

  /// What a fault made of a request says nothing about the service: it is counted apart. A request that was only slowed down
  /// counts as every other, without its delay, and with a flag.
  private static func recordFaults(_ exchange: Exchange, _ worker: ProxyWorker) {
    guard let fault = exchange.fault else { return }
    if !fault.decides(exchange.flag) {
      count(exchange, flag: exchange.shownFlag, delayed: fault.delayed, worker)
    }
    let service = service(exchange)
    for effect in fault.effects {
      worker.metrics.countFault(
        FaultSeriesKey(
          service: service.name, namespace: service.namespace, route: exchange.rule?.nameLabel ?? LabelInterner.empty,
          policy: worker.metrics.labels.id(effect.policy), kind: InjectedFaultKind(effect.kind)))
    }
  }

  private static func series(of exchange: Exchange, _ worker: ProxyWorker) -> Int {
    let rule = exchange.rule?.nameLabel ?? LabelInterner.empty
    let peer = peerLabel(exchange)
    guard let endpoint = exchange.endpoint else {
      return worker.metrics.series(for: key(exchange, rule: rule, peer: peer))
    }
    let service = exchange.service.map { ObjectIdentifier($0) } ?? exchange.inboundPort.map { ObjectIdentifier($0) }
    let backend = exchange.backend.map { ObjectIdentifier($0) }
    let cache = endpoint.seriesCache
    if cache.rule == rule, cache.peer == peer, cache.isGRPC == exchange.isGRPC, cache.service == service,
      cache.backend == backend
    {
      return cache.series
    }
    let series = worker.metrics.series(for: key(exchange, rule: rule, peer: peer))
    endpoint.seriesCache = SeriesCache(
      service: service, backend: backend, rule: rule, peer: peer, isGRPC: exchange.isGRPC, series: series)
    return series
  }

  private static func key(_ exchange: Exchange, rule: Int32, peer: Int32) -> RequestSeriesKey {
    let service = service(exchange)
    return RequestSeriesKey(
      direction: exchange.direction, security: security(exchange), service: service.name, namespace: service.namespace,
      route: rule, backend: exchange.backend?.nameLabel ?? LabelInterner.empty,
      workload: exchange.endpoint?.workloadLabel ?? LabelInterner.empty, peer: peer, isGRPC: exchange.isGRPC)
  }

  /// A copy counts for the service it goes to: what becomes of it says nothing about the one that was asked.
  private static func service(_ exchange: Exchange) -> (name: Int32, namespace: Int32) {
    if exchange.isMirror, let mirror = exchange.backend { return (mirror.nameLabel, mirror.namespaceLabel) }
    if let service = exchange.service { return (service.nameLabel, service.namespaceLabel) }
    guard let port = exchange.inboundPort else { return (LabelInterner.empty, LabelInterner.empty) }
    return (port.serviceLabel, port.namespaceLabel)
  }

  private static func security(_ exchange: Exchange) -> TrafficSecurity {
    switch exchange.direction {
    case .outbound: exchange.endpoint?.isMeshed == true ? .mutual : .none
    case .inbound: exchange.peerLabel != LabelInterner.empty ? .mutual : .none
    }
  }

  private static func peerLabel(_ exchange: Exchange) -> Int32 {
    exchange.direction == .outbound ? exchange.endpoint?.identityLabel ?? LabelInterner.empty : exchange.peerLabel
  }

  /// The labels of the exchange's repeats.
  static func retryKey(_ exchange: Exchange, _ reason: RetryReason?) -> RetrySeriesKey {
    let service = service(exchange)
    return RetrySeriesKey(
      direction: exchange.direction, service: service.name, namespace: service.namespace,
      route: exchange.rule?.nameLabel ?? LabelInterner.empty,
      backend: exchange.backend?.nameLabel ?? LabelInterner.empty, reason: reason)
  }

  // MARK: - Access log

  private static func log(_ exchange: Exchange, _ worker: ProxyWorker) {
    let head = exchange.request
    var entry = AccessLogEntry()
    let now = worker.loop.now
    entry.duration = now - exchange.startTime
    entry.unixMilliseconds = WallClock.now - entry.duration.nanoseconds / 1_000_000
    entry.direction = exchange.direction
    let name = head.method.name
    entry.method =
      head.method == .other
      ? head.bytes(head.methodBytes) : UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    entry.path = head.bytes(exchange.asked?.path ?? head.path)
    entry.authority = head.bytes(exchange.asked?.authority ?? head.authority)
    if let id = head.value(.xRequestId) { entry.requestID = id }
    entry.protocolIn = head.version
    if let endpoint = exchange.endpoint, exchange.attempts > 0 {
      if case .http1 = endpoint.transport { entry.protocolOut = .http11 } else { entry.protocolOut = .http2 }
      entry.endpoint = endpoint.address
      entry.workload = endpoint.workload
      entry.serverID = endpoint.identity?.description ?? ""
    }
    entry.status = exchange.responseStarted ? exchange.status : 0
    entry.flag = exchange.shownFlag
    if let fault = exchange.fault {
      entry.faults = fault.effects.map { "\($0.policy):\(InjectedFaultKind($0.kind).text)" }.joined(separator: ",")
    }
    if exchange.authorizationLabel != LabelInterner.empty {
      entry.authorization = worker.metrics.labels.string(exchange.authorizationLabel)
    }
    if let refusal = exchange.refusedToken { entry.refusedToken = refusal.label }
    entry.grpc = exchange.grpcOutcome
    entry.bytesIn = exchange.requestBytes
    entry.bytesOut = exchange.responseBytes
    if exchange.responseStarted { entry.upstreamLatency = exchange.responseTime - exchange.startTime }
    if let service = exchange.service {
      entry.service = (exchange.isMirror ? exchange.backend?.key ?? service.key : service.key).description
      entry.route = exchange.rule?.name ?? ""
    } else if let port = exchange.inboundPort {
      entry.service = port.config.service.description
    }
    entry.backend = exchange.backend?.key.description ?? ""
    entry.clientID = worker.metrics.labels.string(exchange.direction == .inbound ? exchange.peerLabel : 0)
    worker.accessLog.append(entry)
  }
}
