import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// What the control thread sends to every worker. Each worker compiles its own copy, so that workers share no reference count.
struct ConfigUpdate: Sendable {
  /// Applied before the services, whose rules name them. Nil: no such backend.
  var endpoints: [(ServicePort, EndpointSet?)] = []
  /// Nil: the control plane knows no such service.
  var services: [(ServicePort, ServiceConfig?)] = []
  var workload: WorkloadUpdate?
  /// Of external services whose requests name one of several hosts.
  var named: [NamedSet] = []
  /// Nil: as before.
  var hosts: ExternalHosts?
  /// Of the services that are not there, those whose names may be of the DNS.
  var outside: Set<ServicePort> = []
}

/// The endpoints of one host.
struct NamedSet: Sendable {
  var host: String
  var set: EndpointSet
}

/// What the proxy's own workload serves.
struct WorkloadUpdate: Hashable, Sendable {
  var name: String
  var ports: [InboundPortConfig]
  var locality = Locality()
  var egress = EgressPolicy()
}

struct InboundPortConfig: Hashable, Sendable {
  /// The port that endpoints name.
  var port: UInt16
  var appProtocol: AppProtocol
  /// The service the port belongs to, for metrics.
  var service: ServicePort
  /// Where the application listens.
  var application: SocketAddress
  var rateLimits: [RateLimit] = []
  var globalRateLimit: GlobalRateLimit?
  var requestBody: RequestBodyPolicy?
  var adaptiveConcurrency: AdaptiveConcurrency?
  var compression: CompressionPolicy?
  var authorization: Authorization?
  /// As in `InboundPort`.
  var longestIdle: TimeSpan?
  /// Nil: tokens are not looked at.
  var tokens: TokenPolicy?
  var meshTLS = MeshTLSMode.standard
}

/// TLS material of the workload as one worker uses it.
struct WorkerIdentity {
  let identity: SPIFFEID
  let clientContext: TLSContext
  let serverContext: TLSContext
}

/// A port of the own workload: where its requests go.
final class InboundPortEntry {
  let config: InboundPortConfig
  let endpoint: EndpointEntry
  let serviceLabel: Int32
  let namespaceLabel: Int32
  /// Nil for none.
  let rateLimiter: RateLimiter?
  let globalLimiter: GlobalLimiter?
  /// Nil: whatever comes.
  let concurrency: ConcurrencyLimiter?
  /// Nil: nobody looks at tokens.
  let tokenGate: TokenGate?
  /// Kept, because a look at `config` copies what is in it.
  let meshTLS: MeshTLSMode
  /// Nil: as they are.
  let compression: CompiledCompression?
  /// Nil: everybody may call.
  let authorizer: PortAuthorizer?

  init(_ config: InboundPortConfig, worker: ProxyWorker, workload: String) {
    self.config = config
    meshTLS = config.meshTLS
    let transport: EndpointEntry.Transport =
      switch config.appProtocol {
      case .http, .tcp: .http1(worker.upstreams.applicationPool(config.application, isLocalApplication: true))
      case .http2, .grpc: .http2(worker.upstreams.peerPool(config.application, nil, isLocalApplication: true))
      }
    endpoint = EndpointEntry(
      address: config.application, workload: workload, identity: nil, transport: transport,
      labels: worker.metrics.labels)
    serviceLabel = worker.metrics.labels.id(config.service.service.name)
    namespaceLabel = worker.metrics.labels.id(config.service.service.namespace)
    rateLimiter = RateLimiter(config.rateLimits, of: "port \(config.port)", worker.shared.buckets)
    globalLimiter = GlobalLimiter(config.globalRateLimit, of: "port \(config.port)", worker: worker)
    tokenGate = TokenGate(config.tokens, worker: worker)
    compression = config.compression.map { CompiledCompression($0) }
    authorizer = PortAuthorizer(config, service: serviceLabel, namespace: namespaceLabel, worker: worker)
    concurrency = config.adaptiveConcurrency.map {
      worker.shared.concurrency.limiter(
        $0, of: config, seed: worker.loop.random.next(), now: worker.loop.now)
    }
  }
}
