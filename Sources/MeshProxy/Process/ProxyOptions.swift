package import MeshCore
package import MeshRuntime
package import MeshTelemetry

/// The command line of `apus-proxy`, parsed and checked.
package struct ProxyOptions: Sendable {
  package var workload = ""
  /// Completes short service names; the identity's namespace unless given.
  package var namespace = ""
  package var identity: SPIFFEID?
  /// The workload's own address: every listener of the proxy binds to it.
  package var address = SocketAddress.loopback(port: 0)
  package var controller: SocketAddress?
  package var trustAnchorsFile = ""
  package var joinToken = ""
  /// Holds the token of what changes something over the admin port; empty: nothing can be changed.
  package var adminTokenFile = ""
  package var applicationHost = SocketAddress.loopback(port: 0)
  package var mappedListeners: [(local: SocketAddress, service: ServicePort)] = []
  package var forwards: [(local: SocketAddress, upstream: SocketAddress)] = []
  package var forwardProtocol = ForwardProtocol.http1
  package var forwardTLS = ForwardTLSFiles()
  /// Set to have `/metrics` without a controller, too.
  package var metricsPort: UInt16?
  package var workers = 0
  /// Of names outside the mesh; empty for those in /etc/resolv.conf.
  package var dnsServers: [SocketAddress] = []
  package var accessLog = AccessLogPolicy.off
  package var families = MetricsFamilies.linkerd
  package var ports = ProxyPorts()
  package var limits = ProxyLimits()
  /// For who must find out why a proxy crashed: a core file has its keys in it.
  package var allowsCoreDumps = false
  /// Found out at the start.
  package var keyMemory = KeyMemory.unprotected
  package var keyMemoryBytes = 0

  package init() {}

  /// Always of the loopback: the admin port tells what a mesh is made of.
  package var adminAddress: SocketAddress {
    var own = address.isLoopback ? address : .loopback(port: 0)
    own.port = ports.admin
    return own
  }
}

/// What the upstream of a forward listener speaks, in cleartext.
package enum ForwardProtocol: String, Sendable { case http1, http2 }

/// PEM files that make forward listeners speak TLS; empty names for plaintext.
package struct ForwardTLSFiles: Sendable {
  package var certificate = ""
  package var key = ""
  /// Clients must show a certificate below one of these.
  package var clientCA = ""
  package var minimumVersion = TLSConfiguration.Version.tls12

  package var isEnabled: Bool { !certificate.isEmpty }
}

/// The ports of one proxy, all on the workload's own address (docs/architecture.md).
package struct ProxyPorts: Sendable {
  package var outbound: UInt16 = 15001
  package var inboundPlaintext: UInt16 = 15006
  package var mesh: UInt16 = 15008
  package var metrics: UInt16 = 15020
  package var admin: UInt16 = 15000

  package init() {}
}

/// A command line that cannot be used; the text says what to write instead.
package struct UsageError: Error, CustomStringConvertible {
  package var description: String
}

extension ProxyOptions {
  package static let help = """
    USAGE: apus-proxy --workload NAME --identity SPIFFE-ID --address IP --controller IP:PORT --trust-anchors FILE [options]
           apus-proxy --forward LISTEN=UPSTREAM [--forward ...] [options]

    The proxy beside one workload. `apus run` starts it with all it needs; by hand it serves plain forwarding.

    OPTIONS:
      --workload NAME           name of the workload, as the controller gave it
      --namespace NAME          namespace of short service names (default: the identity's)
      --identity SPIFFE-ID      spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT
      --address IP              the workload's own address; all listeners bind to it (default: 127.0.0.1)
      --controller IP:PORT      discovery and certificates; the token is read from APUS_JOIN_TOKEN
      --trust-anchors FILE      PEM file with the mesh's root certificates
      --admin-token-file FILE   what POST requests to the admin port must show (default: they are refused)
      --app-address IP          where the application listens (default: 127.0.0.1)
      --listen LOCAL=SERVICE:PORT   a plain listener for one service, as 127.0.0.1:8081=orders.shop:80
      --forward LISTEN=UPSTREAM     a listener for one address, without a controller; it takes HTTP/1.1 and HTTP/2
      --forward-protocol NAME       what the upstreams speak: http1, or http2 with prior knowledge (default: http1)
      --forward-tls-certificate FILE, --forward-tls-key FILE
                                PEM chain and key: forward listeners speak TLS 1.2 and 1.3 with ALPN h2, http/1.1
      --forward-tls-client-ca FILE  clients must show a certificate of one of these authorities
      --forward-tls-min-version V   the oldest TLS that clients may speak: 1.2 or 1.3 (default: 1.2)
      --dns-server IP[:PORT]    asked for names outside the mesh; may be repeated (default: /etc/resolv.conf)
      --workers N               event loops (default: cores, at most 4)
      --access-log MODE         off, sampled, sampled=RATE or all (default: off)
      --metrics-port N          /ready, /live and /metrics (default: 15020; with --forward alone: none)
      --metrics-families LIST   linkerd, istio or both (default: linkerd)
      --core-dumps MODE         forbid, or allow: a core file has the proxy's keys in it (default: forbid)
      --help                    this text

    TIMES, in seconds; 0 switches one off:
      --keepalive-interval S    a silent peer proxy is sent a PING (default: 10)
      --keepalive-timeout S     without an answer its connection is dead (default: 10)
      --max-mesh-connection-age S   a connection to the mesh port takes no more requests (default: 3600)
      --max-connection-age S    the same for other listeners (default: 0)
      --max-connection-age-grace S  then open streams are cut (default: 0: they run to their end)
      --drain-timeout S         SIGTERM ends the process at the latest (default: 30)

    EXAMPLES:
      apus-proxy --forward 127.0.0.1:9000=127.0.0.1:8000 --workers 1
      apus-proxy --forward 127.0.0.1:9443=127.0.0.1:8000 --forward-tls-certificate web.pem --forward-tls-key web.key
    """

  /// Reads `arguments` (without the program's name) and the environment's token. Nil when help was asked for.
  package static func parse(_ arguments: [String], joinToken: String) throws(UsageError) -> ProxyOptions? {
    var options = ProxyOptions()
    options.joinToken = joinToken
    var index = 0
    while index < arguments.count {
      var flag = arguments[index]
      index += 1
      if flag == "--help" || flag == "-h" { return nil }
      guard flag.hasPrefix("--") else { throw UsageError(description: "\"\(flag)\" is not an option; see --help") }
      let value: String
      if let equals = flag.firstIndex(of: "=") {
        value = String(flag[flag.index(after: equals)...])
        flag = String(flag[..<equals])
      } else {
        guard index < arguments.count else { throw UsageError(description: "\(flag) needs a value; see --help") }
        value = arguments[index]
        index += 1
      }
      try options.set(flag, value)
    }
    try options.check()
    if options.namespace.isEmpty { options.namespace = options.identity?.namespace ?? "default" }
    return options
  }

  private mutating func set(_ flag: String, _ value: String) throws(UsageError) {
    switch flag {
    case "--workload": workload = value
    case "--namespace": namespace = value
    case "--identity": identity = try Self.need(SPIFFEID(value), flag, value, "spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT")
    case "--address": address = try Self.need(SocketAddress(value, defaultPort: 0), flag, value, "an IP address")
    case "--controller": controller = try Self.need(SocketAddress(value), flag, value, "IP:PORT")
    case "--trust-anchors": trustAnchorsFile = value
    case "--admin-token-file": adminTokenFile = value
    case "--app-address":
      applicationHost = try Self.need(SocketAddress(value, defaultPort: 0), flag, value, "an IP address")
    case "--listen": mappedListeners.append(try mapping(flag, value))
    case "--forward": forwards.append(try forward(flag, value))
    case "--forward-protocol":
      forwardProtocol = try Self.need(ForwardProtocol(rawValue: value), flag, value, "http1 or http2")
    case "--forward-tls-certificate": forwardTLS.certificate = value
    case "--forward-tls-key": forwardTLS.key = value
    case "--forward-tls-client-ca": forwardTLS.clientCA = value
    case "--forward-tls-min-version":
      let versions: [String: TLSConfiguration.Version] = ["1.2": .tls12, "1.3": .tls13]
      forwardTLS.minimumVersion = try Self.need(versions[value], flag, value, "1.2 or 1.3")
    case "--core-dumps":
      allowsCoreDumps = try Self.need(["allow": true, "forbid": false][value], flag, value, "allow or forbid")
    case "--dns-server":
      dnsServers.append(try Self.need(SocketAddress(value, defaultPort: 53), flag, value, "IP or IP:PORT"))
    case "--workers": workers = try Self.need(Int(value).flatMap { 1...64 ~= $0 ? $0 : nil }, flag, value, "1 to 64")
    case "--access-log":
      accessLog = try Self.need(AccessLogPolicy(value), flag, value, "off, sampled, sampled=RATE or all")
    case "--metrics-port":
      metricsPort = try Self.need(UInt16(value), flag, value, "a port")
      ports.metrics = metricsPort ?? ports.metrics
    case "--metrics-families":
      families = try Self.need(MetricsFamilies(value), flag, value, "linkerd, istio or linkerd,istio")
    default:
      guard let limit = Self.timeLimits[flag] else {
        throw UsageError(description: "unknown option \(flag); see --help")
      }
      limits[keyPath: limit] = try Self.need(Self.seconds(value), flag, value, "seconds, 0 to 31536000")
    }
  }

  private func checkForwarding() throws(UsageError) {
    let given = [
      ("--forward-tls-certificate", !forwardTLS.certificate.isEmpty), ("--forward-tls-key", !forwardTLS.key.isEmpty),
      ("--forward-tls-client-ca", !forwardTLS.clientCA.isEmpty),
      ("--forward-tls-min-version", forwardTLS.minimumVersion != .tls12),
      ("--forward-protocol", forwardProtocol != .http1),
    ].filter(\.1)
    guard let first = given.first?.0 else { return }
    guard !forwards.isEmpty else {
      throw UsageError(description: "\(first) needs a --forward LISTEN=UPSTREAM to apply to; see --help")
    }
    guard forwardTLS.certificate.isEmpty == forwardTLS.key.isEmpty else {
      let missing = forwardTLS.key.isEmpty ? "--forward-tls-key" : "--forward-tls-certificate"
      throw UsageError(description: "\(missing) FILE is missing; a certificate and its key go together")
    }
    guard forwardTLS.minimumVersion == .tls12 || forwardTLS.isEnabled else {
      throw UsageError(
        description: "--forward-tls-min-version needs --forward-tls-certificate and --forward-tls-key")
    }
    guard forwardTLS.clientCA.isEmpty || forwardTLS.isEnabled else {
      throw UsageError(description: "--forward-tls-client-ca needs --forward-tls-certificate and --forward-tls-key")
    }
  }

  private func check() throws(UsageError) {
    try checkForwarding()
    if !forwards.isEmpty && controller == nil { return }
    guard controller != nil else {
      throw UsageError(description: "--controller IP:PORT (or --forward) is missing; see --help")
    }
    guard !workload.isEmpty else { throw UsageError(description: "--workload NAME is missing; see --help") }
    guard identity != nil else { throw UsageError(description: "--identity SPIFFE-ID is missing; see --help") }
    guard !trustAnchorsFile.isEmpty else {
      throw UsageError(description: "--trust-anchors FILE is missing; see --help")
    }
    guard !joinToken.isEmpty else {
      throw UsageError(description: "the environment variable APUS_JOIN_TOKEN is missing")
    }
  }

  private static let timeLimits: [String: any WritableKeyPath<ProxyLimits, TimeSpan> & Sendable] = [
    "--keepalive-interval": \.keepaliveInterval,
    "--keepalive-timeout": \.keepaliveTimeout,
    "--max-mesh-connection-age": \.maximumMeshConnectionAge,
    "--max-connection-age": \.maximumConnectionAge,
    "--max-connection-age-grace": \.connectionAgeGrace,
    "--drain-timeout": \.drainTimeout,
  ]

  private static func seconds(_ text: String) -> TimeSpan? {
    guard let value = Double(text), (0...31_536_000).contains(value) else { return nil }
    return .nanoseconds(Int64(value * 1e9))
  }

  private static func need<T>(_ parsed: T?, _ flag: String, _ value: String, _ form: String) throws(UsageError) -> T {
    guard let parsed else { throw UsageError(description: "\(flag): \"\(value)\" is not \(form)") }
    return parsed
  }

  private func mapping(_ flag: String, _ value: String) throws(UsageError) -> (SocketAddress, ServicePort) {
    let parts = value.split(separator: "=", maxSplits: 1)
    guard parts.count == 2, let local = SocketAddress(parts[0]), let service = ServicePort(parts[1]) else {
      throw UsageError(
        description: "\(flag): \"\(value)\" is not LOCAL=SERVICE.NAMESPACE:PORT, as 127.0.0.1:8081=orders.shop:80")
    }
    return (local, service)
  }

  private func forward(_ flag: String, _ value: String) throws(UsageError) -> (SocketAddress, SocketAddress) {
    let parts = value.split(separator: "=", maxSplits: 1)
    guard parts.count == 2, let local = SocketAddress(parts[0]), let upstream = SocketAddress(parts[1]) else {
      throw UsageError(description: "\(flag): \"\(value)\" is not LISTEN=UPSTREAM, as 127.0.0.1:9000=127.0.0.1:8000")
    }
    return (local, upstream)
  }
}
