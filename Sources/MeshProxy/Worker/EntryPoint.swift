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
  unowned let worker: ProxyWorker
  /// For `forward`: the endpoint, made once.
  private lazy var forwardEndpoint: EndpointEntry? =
    if case .forward(let address, let name) = kind { worker.forwardEndpoint(address, name) } else { nil }
  /// Set when the listener speaks TLS to clients outside the mesh.
  let tls: TLSContext?

  init(_ kind: Kind, worker: ProxyWorker, tls: TLSContext? = nil) {
    self.kind = kind
    self.tls = tls
    self.worker = worker
  }

  var direction: TrafficDirection {
    switch kind {
    case .outboundProxy, .mapped, .forward: .outbound
    case .mesh, .inboundPlaintext: .inbound
    }
  }

  var security: TrafficSecurity { if case .mesh = kind { .mutual } else { .none } }

  /// A tunnel through a listener that stands for one HTTP service would pass its rules by.
  var allowsConnect: Bool {
    switch kind {
    case .outboundProxy, .mesh: true
    case .mapped, .forward, .inboundPlaintext: false
    }
  }

  /// Sets what the entry point already knows about the request's destination.
  func prepare(_ exchange: Exchange) {
    switch kind {
    case .mapped(let key): exchange.service = worker.service(key)
    case .forward: exchange.endpoint = forwardEndpoint
    case .outboundProxy, .mesh, .inboundPlaintext: break
    }
    // HTTP/1.1 does not say the scheme; the connection does (RFC 9110, section 4.2.2).
    if tls != nil, exchange.request.scheme.isEmpty { exchange.request.scheme = exchange.request.intern("https") }
  }
}
