import MeshCore
import MeshPolicy
import MeshRuntime

/// TLS to servers outside the mesh that prove the same names, as one worker uses it.
final class UpstreamTLS {
  let origination: TLSOrigination
  /// Nil: nobody is trusted, or there is no certificate to show, so nothing is sent.
  private(set) var client: TLSClient?
  /// Kept, because a look at `client` copies what is in it.
  private(set) var isUsable = false

  init(_ origination: TLSOrigination, _ context: TLSContext?) {
    self.origination = origination
    use(context)
  }

  /// For new connections.
  func use(_ context: TLSContext?) {
    client = context.map {
      TLSClient(context: $0, expectedNames: origination.expectedNames, serverName: origination.sni)
    }
    isUsable = context != nil
  }

  /// What requests are answered while it is not usable.
  var obstacle: ProxyError {
    origination.trust != .nobody && origination.clientCertificate != nil ? .clientCertificateUnusable : .tlsUnusable
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
    var clientCertificate: TLSOrigination.ClientCertificate?
  }

  private struct Key: Hashable {
    var origination: TLSOrigination
    var appProtocol: AppProtocol
  }

  unowned(unsafe) private let worker: ProxyWorker
  private var contexts: [ContextKey: WeakReference<TLSContext>] = [:]
  private var known: [Key: WeakReference<UpstreamTLS>] = [:]
  /// Those that some origination in use names.
  private var credentials: [TLSOrigination.ClientCertificate: ClientCredential] = [:]

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
      trust: origination.trust, appProtocol: appProtocol, minimumVersion: origination.minimumVersion,
      clientCertificate: origination.clientCertificate)
    if let found = contexts[key]?.object { return found }
    do throws(TLSContextError) {
      var configuration = TLSConfiguration(to: origination, appProtocol)
      if let files = origination.clientCertificate {
        let credential = credential(files)
        // Its failure has been said.
        guard credential.key != nil else { return nil }
        configuration.key = credential.key
        configuration.chainPEM = credential.chainPEM
      }
      let made = try TLSContext(configuration)
      contexts[key] = WeakReference(made)
      return made
    } catch {
      worker.reportTLS(error)
      return nil
    }
  }

  // MARK: - Certificates to show

  private func credential(_ files: TLSOrigination.ClientCertificate) -> ClientCredential {
    if let found = credentials[files] { return found }
    let made = ClientCredential(files)
    credentials[files] = made
    tell(of: made, after: "")
    return made
  }

  /// What is wrong is said when it begins, not each second.
  private func tell(of credential: ClientCredential, after failure: String) {
    guard !credential.failure.isEmpty, credential.failure != failure else { return }
    let rest = credential.key == nil ? "nothing is sent to the servers that it is for" : "the last one stays in use"
    worker.log?.error("client certificate: \(credential.failure); \(rest)")
  }

  /// Looks whether there are other certificates to show. What is given has a new one: its connections show the old.
  func renewed() -> [UpstreamTLS] {
    if credentials.isEmpty { return [] }
    let used = known.values.compactMap(\.object).filter { $0.origination.clientCertificate != nil }
    let wanted = Set(used.compactMap(\.origination.clientCertificate))
    credentials = credentials.filter { wanted.contains($0.key) }
    var renewed: [UpstreamTLS] = []
    for (files, credential) in credentials {
      let failure = credential.failure
      guard credential.refresh() else {
        tell(of: credential, after: failure)
        continue
      }
      worker.log?.info("client certificate: \(files.certificateFile) is in use")
      contexts = contexts.filter { $0.key.clientCertificate != files }
      for (key, reference) in known where key.origination.clientCertificate == files {
        guard let tls = reference.object else { continue }
        tls.use(context(key.origination, key.appProtocol))
        renewed.append(tls)
      }
    }
    return renewed
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
