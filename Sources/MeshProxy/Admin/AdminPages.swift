import MeshAPI
import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// What the admin server shows. Built per request on the control loop.
struct AdminPages {
  let control: ControlThread

  func ready() -> AdminReply {
    if control.isReady { return .text(200, "ready\n") }
    if control.isDraining { return .text(503, "draining\n") }
    var waiting: [String] = []
    if control.identity?.isValid(nowSeconds: WallClock.now / 1000) != true { waiting.append("a certificate") }
    if control.workload == nil { waiting.append("the workload's configuration") }
    return .text(503, "waiting for \(waiting.joined(separator: " and ")) from the controller\n")
  }

  func index() -> AdminReply {
    .text(
      200,
      """
      apus-proxy \(ApusVersion.current), workload \(control.options.workload)
      /ready /live      probes
      /metrics          Prometheus text
      /certs            certificate chain and trust anchors
      /config_dump      services and endpoints in force
      /clusters         endpoints with their balancer state, per worker
      /plaintext_callers  who has called without a certificate of the mesh
      /key_sets         keys to verify tokens with, and why there are none
      /server_info      version, start, discovery state
      /loops            what each event loop did
      POST /drain       finish requests in flight and stop accepting; needs the token of --admin-token-file

      """)
  }

  // MARK: - Metrics

  func metrics(_ reply: @escaping (AdminReply) -> Void) {
    var process = processMetrics()
    process.readUsage()
    let families = control.options.families
    control.collect {
      $0.metrics.snapshot()
    } then: { snapshots in
      reply(
        AdminReply(
          status: 200, contentType: "\(PrometheusText.contentType)",
          body: PrometheusText.render(snapshots, process: process, families: families)))
    }
  }

  private func processMetrics() -> ProcessMetrics {
    var process = ProcessMetrics()
    process.version = ApusVersion.current
    process.workload = control.options.workload
    process.namespace = control.options.namespace
    process.identity = control.options.identity?.description ?? ""
    process.certificateExpiration = control.identity?.current.map { Double($0.notAfter) }
    if control.identity?.current != nil, control.certificates.reporter.rootEnd > 0 {
      process.issuerExpiration = Double(control.certificates.reporter.issuerEnd)
      process.rootExpiration = Double(control.certificates.reporter.rootEnd)
    }
    process.certificateRefreshes = control.identity?.refreshes ?? 0
    process.keyMemoryBytes = control.options.keyMemoryBytes
    process.keyMemoryUsed = KeyMemory.used
    process.configAgeSeconds = control.discovery.age?.inSeconds
    process.configVersion = control.discovery.version
    process.discoveryConnected = control.isConnected
    process.discoveryRejected = control.discovery.rejected
    process.dnsAnswered = control.discovery.names.answered
    process.dnsFailed = control.discovery.names.failed
    process.keySetsRead = control.keySets.succeeded
    process.keySetsFailed = control.keySets.failed
    process.keySets = control.keySets.states.map(\.gauge)
    process.adminRefused = AdminGuard.Refusal.allCases.map { ($0.rawValue, control.adminGuard.refused[$0] ?? 0) }
    process.concurrency = control.shared.concurrency.gauges
    process.startTimeSeconds = Double(control.startTime) / 1000
    return process
  }

  // MARK: - Identity

  func certificates() -> AdminReply {
    guard let material = control.identity?.current else {
      return .text(503, "no certificate yet\n")
    }
    let chain = (try? CertificateInfo.all(pem: material.chainPEM)) ?? []
    let anchors = (try? CertificateInfo.all(pem: material.trust.anchorsPEM)) ?? []
    var json = JSONWriter()
    json.object {
      $0.field("identity", control.identity?.identity.description ?? "")
      $0.array("chain", chain) { Self.write($1, to: &$0) }
      $0.array("trust_anchors", anchors) { Self.write($1, to: &$0) }
      writeTLS(to: &$0)
      $0.field("pem", String(decoding: material.chainPEM, as: UTF8.self))
    }
    return .json(json.text)
  }

  private static func write(_ certificate: CertificateInfo, to json: inout JSONWriter) {
    json.object {
      $0.field("subject_uri", certificate.identity?.description ?? "")
      $0.field("subject", certificate.subject)
      $0.field("issuer", certificate.issuer)
      $0.field("serial", certificate.serial)
      $0.field("not_before", certificate.notBefore)
      $0.field("not_after", certificate.notAfter)
    }
  }

  // MARK: - Configuration

  func configuration() -> AdminReply {
    var json = JSONWriter()
    json.object {
      $0.field("version", Int64(control.discovery.version))
      $0.field("connected", control.isConnected)
      $0.field("age_seconds", control.discovery.age?.inSeconds ?? -1)
      $0.field("last_rejection", control.discovery.lastRejection)
      $0.array("services", control.discovery.store.services.values.sorted { $0.key < $1.key }) {
        Self.write($1, to: &$0)
      }
      $0.array("endpoints", control.discovery.store.endpoints.values.sorted { $0.key < $1.key }) {
        Self.write($1, to: &$0)
      }
    }
    return .json(json.text)
  }

  private static func write(_ service: ServiceConfig, to json: inout JSONWriter) {
    json.object {
      $0.field("service", service.key.description)
      $0.field("app_protocol", service.appProtocol.rawValue)
      $0.array("rules", service.rules) { json, rule in
        json.object {
          $0.field("name", rule.name)
          $0.field("matches", Int64(rule.matches.count))
          $0.array("backends", rule.backends) { json, backend in
            json.object {
              $0.field("backend", backend.backend.description)
              $0.field("weight", Int64(backend.weight))
            }
          }
        }
      }
    }
  }

  private static func write(_ set: EndpointSet, to json: inout JSONWriter) {
    json.object {
      $0.field("backend", set.key.description)
      $0.field("algorithm", "\(set.policy.balancing.algorithm)")
      $0.array("endpoints", set.endpoints) { json, endpoint in
        json.object {
          $0.field("address", endpoint.address.description)
          $0.field("workload", endpoint.workload)
          $0.field("identity", endpoint.identity?.description ?? "")
        }
      }
    }
  }

  func endpoints(_ reply: @escaping (AdminReply) -> Void) {
    control.collect { worker in
      worker.backends.values.sorted { $0.key < $1.key }.flatMap { backend in
        [BackendStatus(backend, host: nil, worker)]
          + (backend.hosts?.all ?? []).map { BackendStatus($0.entry, host: $0.name, worker) }
      }
    } then: { workers in
      var json = JSONWriter()
      json.object {
        $0.array("workers", workers) { json, backends in
          json.object { $0.array("backends", backends) { Self.write($1, to: &$0) } }
        }
      }
      reply(.json(json.text))
    }
  }

  private struct BackendStatus: Sendable {
    var key: ServicePort
    /// Of an external service with several.
    var host: String?
    var use: BackendUse
    var endpoints: [EndpointStatus]
    var tlsFailures: [SocketAddress: String]

    init(_ backend: BackendEntry, host: String?, _ worker: ProxyWorker) {
      key = backend.key
      self.host = host
      use = backend.use
      tlsFailures = backend.tlsFailures
      endpoints = backend.balancer.endpointStates(now: worker.loop.now)
    }
  }

  private static func write(_ backend: BackendStatus, to json: inout JSONWriter) {
    json.object {
      $0.field("backend", backend.key.description)
      if let host = backend.host { $0.field("host", host) }
      $0.field("connections", Int64(backend.use.connections))
      $0.field("pending_requests", Int64(backend.use.pending))
      $0.field("active_requests", Int64(backend.use.active))
      $0.array("endpoints", backend.endpoints) { json, endpoint in
        json.object {
          $0.field("address", endpoint.address.description)
          $0.field("workload", endpoint.workload)
          $0.field("weight", Int64(endpoint.weight))
          $0.field("state", "\(endpoint.state)")
          $0.field("reason", endpoint.reason)
          if let failure = backend.tlsFailures[endpoint.address] { $0.field("tls_failure", failure) }
          $0.field("health", Self.text(endpoint.health))
          $0.field("zone", endpoint.locality.zone)
          if let level = endpoint.level { $0.field("priority", Int64(level)) }
          $0.field("pending", Int64(endpoint.pending))
          $0.field("latency_ms", endpoint.latencyMilliseconds)
        }
      }
    }
  }

  private static func text(_ health: EndpointHealth) -> String {
    switch health {
    case .unknown: "unknown"
    case .healthy: "healthy"
    case .unhealthy(let problem): "unhealthy: \(problem.text)"
    }
  }

  // MARK: - Process

  func serverInfo() -> AdminReply {
    var json = JSONWriter()
    json.object {
      $0.field("version", ApusVersion.current)
      $0.field("workload", control.options.workload)
      $0.field("identity", control.options.identity?.description ?? "")
      $0.field("started_ms", control.startTime)
      $0.field("workers", Int64(control.workers.count))
      $0.field("ready", control.isReady)
      $0.field("discovery_connected", control.isConnected)
    }
    return .json(json.text)
  }

  func loops(_ reply: @escaping (AdminReply) -> Void) {
    control.collect { worker in
      LoopStatus(
        counters: worker.loop.counters, exchanges: worker.exchangeCount,
        connections: worker.downstreamConnectionCount, retries: worker.counters.retries,
        connectFailures: worker.counters.connectFailures)
    } then: { loops in
      var json = JSONWriter()
      json.object {
        $0.array("loops", loops) { json, loop in
          json.object {
            $0.field("turns", Int64(loop.counters.turns))
            $0.field("reads", Int64(loop.counters.reads))
            $0.field("writes", Int64(loop.counters.writes))
            $0.field("accepts", Int64(loop.counters.accepts))
            $0.field("system_calls", Int64(loop.counters.systemCalls))
            $0.field("requests_in_flight", Int64(loop.exchanges))
            $0.field("downstream_connections", Int64(loop.connections))
            $0.field("retries", Int64(loop.retries))
            $0.field("connect_failures", Int64(loop.connectFailures))
          }
        }
      }
      reply(.json(json.text))
    }
  }

  private struct LoopStatus: Sendable {
    var counters: WorkerCounters
    var exchanges: Int
    var connections: Int
    var retries: UInt64
    var connectFailures: UInt64
  }
}
