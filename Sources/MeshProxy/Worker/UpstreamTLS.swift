import MeshCore
import MeshPolicy
import MeshRuntime

/// TLS to servers outside the mesh that prove the same names, as one worker uses it. Immutable.
final class UpstreamTLS {
  let origination: TLSOrigination
  /// Nil: nobody is trusted, so nothing is sent.
  let client: TLSClient?
  /// Kept, because a look at `client` copies what is in it.
  let isUsable: Bool

  init(_ origination: TLSOrigination, _ context: TLSContext?) {
    self.origination = origination
    client = context.map {
      TLSClient(context: $0, expectedNames: origination.expectedNames, serverName: origination.sni)
    }
    isUsable = context != nil
  }
}

extension TLSOrigination {
  fileprivate var expectedNames: ServerNames {
    let hasAlternatives = !alternativeHosts.isEmpty || !alternativeURIs.isEmpty
    return ServerNames(hosts: hasAlternatives ? alternativeHosts : [hostname], uris: alternativeURIs)
  }

  /// An address is no server name (RFC 6066, section 3).
  fileprivate var sni: String? { SocketAddress(hostname, defaultPort: 0) == nil ? hostname : nil }
}

/// The TLS of one worker to servers outside the mesh. Contexts, with the authorities in them and the sessions to resume, are shared
/// by whatever trusts the same.
final class UpstreamTLSTable {
  private struct ContextKey: Hashable {
    var trust: TLSOrigination.Trust
    var appProtocol: AppProtocol
    var minimumVersion: TLSOrigination.Version
  }

  private struct Key: Hashable {
    var origination: TLSOrigination
    var appProtocol: AppProtocol
  }

  unowned(unsafe) private let worker: ProxyWorker
  private var contexts: [ContextKey: WeakReference<TLSContext>] = [:]
  private var known: [Key: WeakReference<UpstreamTLS>] = [:]

  init(_ worker: ProxyWorker) { self.worker = worker }

  func find(_ origination: TLSOrigination, _ appProtocol: AppProtocol) -> UpstreamTLS {
    let key = Key(origination: origination, appProtocol: appProtocol)
    if let found = known[key]?.object { return found }
    let made = UpstreamTLS(origination, context(origination, appProtocol))
    known[key] = WeakReference(made)
    return made
  }

  private func context(_ origination: TLSOrigination, _ appProtocol: AppProtocol) -> TLSContext? {
    if origination.trust == .nobody { return nil }
    let key = ContextKey(
      trust: origination.trust, appProtocol: appProtocol, minimumVersion: origination.minimumVersion)
    if let found = contexts[key]?.object { return found }
    do throws(TLSContextError) {
      let made = try TLSContext(TLSConfiguration(to: origination, appProtocol))
      contexts[key] = WeakReference(made)
      return made
    } catch {
      worker.reportTLS(error)
      return nil
    }
  }

  /// Forgets what nothing uses any more.
  func sweep() {
    if known.values.contains(where: { $0.object == nil }) { known = known.filter { $0.value.object != nil } }
    if contexts.values.contains(where: { $0.object == nil }) { contexts = contexts.filter { $0.value.object != nil } }
  }
}

extension TLSConfiguration {
  fileprivate init(to origination: TLSOrigination, _ appProtocol: AppProtocol) {
    var anchors: [UInt8] = []
    if case .authorities(let pem) = origination.trust { anchors = Array(pem.utf8) }
    let protocols: [String] =
      switch appProtocol {
      case .http: ["http/1.1"]
      case .http2, .grpc: ["h2"]
      case .tcp: []
      }
    self.init(role: .client, key: nil, trustAnchorsPEM: anchors, protocols: protocols)
    trustsSystem = origination.trust == .system
    minimumVersion = origination.minimumVersion == .tls13 ? .tls13 : .tls12
    requiresWorkloadIdentity = false
    // HTTP/2 over TLS begins with ALPN (RFC 9113, section 3.2); servers of HTTP/1.1 need not know it.
    requiresProtocol = appProtocol.isHTTP2
  }
}
