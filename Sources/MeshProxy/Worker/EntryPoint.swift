import MeshCore
import MeshHTTP
import MeshRuntime
import MeshTelemetry

/// A listening address of the proxy and what a request that comes in by it means.
final class EntryPoint {
  enum Kind {
    /// Explicit HTTP proxy for the workload's own process.
    case outboundProxy
    /// A plain listener that stands for one service.
    case mapped(ServicePort)
    /// mTLS from other proxies of the mesh.
    case mesh
    /// Plaintext from callers outside the mesh.
    case inboundPlaintext
    /// A listener in front of one fixed address, without a control plane.
    case forward(SocketAddress, ForwardProtocol)
  }

  let kind: Kind
  // What requests ask of the kind, kept: a look at `kind` itself copies the names in it.
  let direction: TrafficDirection
  let security: TrafficSecurity
  /// A tunnel through a listener that stands for one HTTP service would pass its rules by.
  let allowsConnect: Bool
  private let isMapped: Bool
  /// Outlives everything on its loop. Counted, the reference would cost two atomic operations at each use.
  unowned(unsafe) let worker: ProxyWorker
  /// For `forward`: the endpoint, made once.
  private lazy var forwardEndpoint: EndpointEntry? =
    if case .forward(let address, let name) = kind { worker.upstreams.forwardEndpoint(address, name) } else { nil }
  /// For `mapped`: the service, once it was asked for.
  private var service: ServiceEntry?
  /// Set when the listener speaks TLS to clients outside the mesh.
  let tls: TLSContext?

  init(_ kind: Kind, worker: ProxyWorker, tls: TLSContext? = nil) {
    self.kind = kind
    self.tls = tls
    self.worker = worker
    (direction, security, allowsConnect) =
      switch kind {
      case .outboundProxy: (.outbound, .none, true)
      case .mapped, .forward: (.outbound, .none, false)
      case .mesh: (.inbound, .mutual, true)
      case .inboundPlaintext: (.inbound, .none, false)
      }
    isMapped = if case .mapped = kind { true } else { false }
  }

  /// Looked up once: hashing a service's name for every request would cost more than routing it.
  private func mappedService() -> ServiceEntry? {
    if let service, !service.isEvicted { return service }
    guard case .mapped(let key) = kind else { return nil }
    let found = worker.service(key)
    service = found
    return found
  }

  /// Sets what the entry point already knows about the request's destination.
  func prepare(_ exchange: Exchange) {
    if isMapped {
      exchange.service = mappedService()
    } else if let forwardEndpoint {
      exchange.endpoint = forwardEndpoint
    }
    // HTTP/1.1 does not say the scheme; the connection does (RFC 9110, section 4.2.2).
    if tls != nil, exchange.request.scheme.isEmpty { exchange.request.scheme = exchange.request.intern("https") }
  }
}
