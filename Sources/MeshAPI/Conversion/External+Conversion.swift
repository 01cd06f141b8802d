import MeshCore
import MeshPolicy
import SwiftProtobuf

extension ExternalHosts {
  init(_ message: Apus_V1_ExternalHosts, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.hosts.count, atMost: limits.maximumExternalHosts, "hosts")
    self.init(
      try convertEach(message.hosts, "hosts") { entry throws(ConversionError) in
        try convertHost(entry.host, "host", allowWildcard: true)
        return Entry(host: entry.host, service: try convertServicePort(entry.service, "service"))
      })
  }
}

/// In lower case.
func convertHost(_ name: String, _ field: String, allowWildcard: Bool) throws(ConversionError) {
  let plain = allowWildcard && name.hasPrefix("*.") ? String(name.dropFirst(2)) : name
  guard HostName.isName(plain) else {
    throw ConversionError(field: field, problem: "\"\(name.prefix(253))\" is no name of the DNS in lower case")
  }
}

extension TLSOrigination {
  init(_ message: Apus_V1_TlsOrigination, limits: ConversionLimits) throws(ConversionError) {
    do throws(ConversionError) {
      try self.init(checked: message, limits: limits)
    } catch {
      throw error.inside("tls")
    }
  }

  private init(checked message: Apus_V1_TlsOrigination, limits: ConversionLimits) throws(ConversionError) {
    let trust: Trust
    switch message.trust {
    case .system: trust = .system
    case .authoritiesPem(let pem):
      guard (1...TLSOriginationLimits.authorityBytes).contains(pem.utf8.count) else {
        throw ConversionError(field: "authorities_pem", problem: "\(pem.utf8.count) bytes")
      }
      trust = .authorities(pem)
    case .nobody: trust = .nobody
    // Never a guess: what a newer controller asks for is refused.
    case nil: throw ConversionError(field: "trust", problem: "none is set; is the controller newer than this proxy?")
    }
    if !message.hostname.isEmpty { try convertServerName(message.hostname, "hostname") }
    try limits.check(
      message.alternativeHosts.count + message.alternativeUris.count, atMost: TLSOriginationLimits.alternatives,
      "alternatives")
    for host in message.alternativeHosts { try convertServerName(host, "alternative_hosts") }
    for uri in message.alternativeUris { try limits.check(uri, "alternative_uris") }
    var clientCertificate: ClientCertificate?
    if message.hasClientCertificate {
      let files = message.clientCertificate
      for path in [files.certificateFile, files.keyFile] {
        try limits.check(path, "client_certificate")
        guard path.hasPrefix("/") else {
          throw ConversionError(field: "client_certificate", problem: "\"\(path.prefix(256))\" is not an absolute path")
        }
      }
      clientCertificate = ClientCertificate(certificateFile: files.certificateFile, keyFile: files.keyFile)
    }
    self.init(
      trust: trust, hostname: message.hostname, alternativeHosts: message.alternativeHosts,
      alternativeURIs: message.alternativeUris, minimumVersion: message.tls13Only ? .tls13 : .tls12,
      clientCertificate: clientCertificate)
  }
}

extension NameResolution {
  init(_ message: Apus_V1_NameResolution, limits: ConversionLimits) throws(ConversionError) {
    do throws(ConversionError) {
      guard !message.hosts.isEmpty else { throw ConversionError(field: "hosts", problem: "empty") }
      try limits.check(message.hosts.count, atMost: limits.maximumRuleParts, "hosts")
      for host in message.hosts { try convertHost(host, "hosts", allowWildcard: true) }
      self.init(
        hosts: message.hosts, port: try convertPort(message.port, "port"),
        minimumTTL: try convertSomeTime(message.minimumTtlMs, "minimum_ttl_ms"),
        maximumTTL: try convertSomeTime(message.maximumTtlMs, "maximum_ttl_ms"))
      guard minimumTTL <= maximumTTL else {
        throw ConversionError(field: "minimum_ttl_ms", problem: "more than the maximum")
      }
    } catch {
      throw error.inside("names")
    }
  }
}

/// A name or an address that a certificate can be for.
private func convertServerName(_ name: String, _ field: String) throws(ConversionError) {
  if name.utf8.count <= 64, SocketAddress(name, defaultPort: 0) != nil { return }
  try convertHost(name, field, allowWildcard: false)
}

// MARK: - To the wire

extension Apus_V1_ExternalHosts {
  init(_ table: ExternalHosts) {
    self.init()
    hosts = table.entries.map { entry in
      .with {
        $0.host = entry.host
        $0.service = entry.service.description
      }
    }
  }
}

extension Apus_V1_TlsOrigination {
  init(_ origination: TLSOrigination) {
    self.init()
    switch origination.trust {
    case .system: system = true
    case .authorities(let pem): authoritiesPem = pem
    case .nobody: nobody = true
    }
    hostname = origination.hostname
    alternativeHosts = origination.alternativeHosts
    alternativeUris = origination.alternativeURIs
    tls13Only = origination.minimumVersion == .tls13
    if let files = origination.clientCertificate {
      clientCertificate.certificateFile = files.certificateFile
      clientCertificate.keyFile = files.keyFile
    }
  }
}

extension Apus_V1_NameResolution {
  init(_ resolution: NameResolution) {
    self.init()
    hosts = resolution.hosts
    port = UInt32(resolution.port)
    minimumTtlMs = resolution.minimumTTL.wireMilliseconds
    maximumTtlMs = resolution.maximumTTL.wireMilliseconds
  }
}
