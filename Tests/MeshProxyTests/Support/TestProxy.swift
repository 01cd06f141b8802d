import Glibc
import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry
import Synchronization

@testable import MeshProxy

/// One worker of the data plane on a thread of its own, listening on loopback.
final class TestProxy: Sendable {
  private let thread: WorkerThread
  private let handle: ProxyWorkerHandle
  private let reserved: [ReservedPort]
  /// Kept for as long as the proxy.
  private let backend: Backend?
  let log: LogFile
  let asked: Asked

  /// Services that the worker subscribed to.
  final class Asked: Sendable {
    private let keys = Mutex<[ServicePort]>([])
    func add(_ key: ServicePort) { keys.withLock { $0.append(key) } }
    var all: [ServicePort] { keys.withLock { $0 } }
  }

  /// A listener for each of `kinds`; port 0 of `ports` belongs to the first.
  init(
    _ kinds: [EntryPoint.Kind], limits: ProxyLimits = ProxyLimits(), accessLog: AccessLogPolicy = .off,
    client: SPIFFEID? = nil, keeping backend: Backend? = nil
  ) throws {
    let reserved = kinds.map { _ in ReservedPort() }
    let log = LogFile()
    let asked = Asked()
    let ready = Promise<ProxyWorkerHandle>()
    signal(SIGPIPE, SIG_IGN)
    thread = try WorkerThread(index: 0, seed: 7) { loop in
      let handle = ProxyWorkerHandle(index: 0, inbox: loop.inbox)
      let worker = ProxyWorker(
        loop: loop, limits: limits, namespace: "shop", client: client,
        accessLog: AccessLogWriter(policy: accessLog, pool: loop.pool, descriptor: log.descriptor),
        subscribe: { asked.add($0) })
      handle.bind(worker)
      for (kind, port) in zip(kinds, reserved) { try? worker.listen(kind, on: port.address) }
      ready.put(handle)
    }
    handle = try ready.get()
    self.reserved = reserved
    self.backend = backend
    self.log = log
    self.asked = asked
  }

  /// In front of one backend, without a control plane.
  static func forwarding(
    to backend: Backend, protocol name: ForwardProtocol = .http1, limits: ProxyLimits = ProxyLimits(),
    accessLog: AccessLogPolicy = .off
  ) throws -> TestProxy {
    try TestProxy([.forward(backend.address, name)], limits: limits, accessLog: accessLog, keeping: backend)
  }

  /// A listener for `orders.shop:80`, configured with `rules` and `endpoints` of `orders.shop:80`.
  static func serving(
    _ endpoints: [SocketAddress], rules: [RouteRule] = [.toOrders()], limits: ProxyLimits = ProxyLimits(),
    accessLog: AccessLogPolicy = .off, appProtocol: AppProtocol = .http, policy: BackendPolicy = BackendPolicy(),
    client: SPIFFEID? = nil
  ) throws -> TestProxy {
    let proxy = try TestProxy(
      [.mapped(.orders), .outboundProxy], limits: limits, accessLog: accessLog, client: client)
    proxy.configure(endpoints, rules: rules, appProtocol: appProtocol, policy: policy)
    return proxy
  }

  func configure(
    _ endpoints: [SocketAddress], rules: [RouteRule] = [.toOrders()], appProtocol: AppProtocol = .http,
    policy: BackendPolicy = BackendPolicy()
  ) {
    let set = EndpointSet(
      key: .orders,
      endpoints: endpoints.enumerated().map { Endpoint(address: $1, workload: "orders-\($0)", identity: nil) },
      appProtocol: appProtocol, policy: policy)
    let service = ServiceConfig(key: .orders, appProtocol: appProtocol, rules: rules)
    apply(ConfigUpdate(endpoints: [(.orders, set)], services: [(.orders, service)]))
  }

  func apply(_ update: ConfigUpdate) { _ = try? onLoop { $0.apply(update) } }

  deinit {
    thread.stop()
    thread.join()
  }

  func port(_ index: Int = 0) -> UInt16 { reserved[index].port }
  func connect(_ index: Int = 0, receiveBuffer: Int32 = 0) throws -> Peer {
    try Peer(port: port(index), receiveBuffer: receiveBuffer)
  }

  /// Runs `body` on the worker's loop and waits for its result.
  func onLoop<T: Sendable>(_ body: @escaping @Sendable (ProxyWorker) -> T) throws -> T {
    let promise = Promise<T>()
    handle.post { promise.put(body($0)) }
    return try promise.get()
  }

  /// The metrics as a scraper reads them.
  func metrics() throws -> String {
    let snapshot = try onLoop { $0.metrics.snapshot() }
    return String(
      decoding: PrometheusText.render([snapshot], process: ProcessMetrics(), families: .linkerd), as: UTF8.self)
  }

  /// True once `condition` holds; the worker's own timer looks again each 5 ms, for about half a minute.
  func becomes(_ condition: @escaping @Sendable (ProxyWorker) -> Bool) throws -> Bool {
    let promise = Promise<Bool>()
    handle.post { ConditionWatch($0, condition, promise).look() }
    return try promise.get()
  }

  /// The sum of all samples of `family` whose labels contain every one of `labels`.
  func count(_ family: String, _ labels: String...) throws -> Int {
    try metrics().split(separator: "\n").filter { line in
      line.hasPrefix(family) && labels.allSatisfy { line.contains($0) }
    }.compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0) { $0 + Int($1) }
  }
}

extension ProxyWorker {
  /// As `TestProxy.count`, on its loop.
  func sum(of family: String, _ label: String = "") -> Int {
    let text = PrometheusText.render([metrics.snapshot()], process: ProcessMetrics(), families: .linkerd)
    return String(decoding: text, as: UTF8.self).split(separator: "\n")
      .filter { $0.hasPrefix(family) && $0.contains(label) }
      .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0) { $0 + Int($1) }
  }
}

extension ProxyLimits {
  /// The limits of every day but for `change`.
  static func with(_ change: (inout ProxyLimits) -> Void) -> ProxyLimits {
    var limits = ProxyLimits()
    change(&limits)
    return limits
  }
}

/// Where a test's access log goes.
final class LogFile: Sendable {
  let descriptor: Int32

  init() {
    var template = Array("/tmp/apus-log-XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    unlink(template)
  }

  deinit { close(descriptor) }

  var lines: [String] {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let n = pread(descriptor, &bytes, bytes.count, 0)
    return String(decoding: bytes[..<max(0, n)], as: UTF8.self).split(separator: "\n").map(String.init)
  }
}

extension ServicePort {
  static let orders = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)
  static let other = ServicePort(service: ServiceName(name: "other", namespace: "shop"), port: 80)
}

extension RouteRule {
  static func toOrders(
    matches: [RouteMatch] = [], filters: [HeaderFilter] = [], routeFilters: [RouteFilter] = [], weight: UInt32 = 1,
    timeouts: RouteTimeouts = RouteTimeouts(), retry: RetryPolicy? = nil, failureStatus: UInt16? = nil
  ) -> RouteRule {
    RouteRule(
      name: "httproute/shop/orders#0", matches: matches, filters: filters.map(RouteFilter.headers) + routeFilters,
      backends: [WeightedBackend(backend: .orders, weight: weight)], timeouts: timeouts, retry: retry,
      failureStatus: failureStatus)
  }
}

/// Looks at a condition on the worker's loop until it holds; keeps itself alive until then.
private final class ConditionWatch: TimerHandler {
  private let worker: ProxyWorker
  private let condition: (ProxyWorker) -> Bool
  private let promise: Promise<Bool>
  private var looksLeft = 5_000
  private var keep: ConditionWatch?
  private lazy var timer = LoopTimer(owner: self)

  init(_ worker: ProxyWorker, _ condition: @escaping (ProxyWorker) -> Bool, _ promise: Promise<Bool>) {
    self.worker = worker
    self.condition = condition
    self.promise = promise
  }

  func look() {
    keep = self
    looksLeft -= 1
    if condition(worker) || looksLeft == 0 {
      promise.put(looksLeft > 0)
      keep = nil
    } else {
      worker.loop.schedule(timer, after: .milliseconds(5))
    }
  }

  func timerFired(_ timer: LoopTimer) { look() }
}
