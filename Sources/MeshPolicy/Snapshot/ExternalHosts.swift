package import MeshCore

/// The hosts outside the mesh that stand for ExternalServices, as the clients of one namespace see them.
package struct ExternalHosts: Hashable, Sendable {
  package struct Entry: Hashable, Sendable {
    /// In lower case: `api.example.com`, or `*.example.com` for every name below `example.com`.
    package var host: String
    /// The external service, and the port that clients name.
    package var service: ServicePort

    package init(host: String, service: ServicePort) {
      self.host = host
      self.service = service
    }
  }

  /// Of two entries for one host and port the first counts.
  package var entries: [Entry]

  package init(_ entries: [Entry] = []) { self.entries = entries }
}

/// Finds the external service of a host.
///
/// The name itself goes first, then the longest wildcard that covers it. A wildcard covers names with any number of labels in the
/// star's place, as in a TLSRoute, and not the name below the star itself.
package struct ExternalHostTable: Sendable {
  private struct Place: Hashable {
    var host: String
    var port: UInt16
  }

  private var exact: [Place: ServicePort] = [:]
  /// By what follows the star and its dot.
  private var wildcards: [Place: ServicePort] = [:]

  package init(_ hosts: ExternalHosts = ExternalHosts()) {
    for entry in hosts.entries {
      if entry.host.hasPrefix("*.") {
        let place = Place(host: String(entry.host.dropFirst(2)), port: entry.service.port)
        wildcards[place] = wildcards[place] ?? entry.service
      } else {
        let place = Place(host: entry.host, port: entry.service.port)
        exact[place] = exact[place] ?? entry.service
      }
    }
  }

  package var isEmpty: Bool { exact.isEmpty && wildcards.isEmpty }

  /// `authority` is a host as a client wrote it, with a port or without.
  package func service(ofAuthority authority: String, defaultPort: UInt16) -> ServicePort? {
    guard !isEmpty, let (host, port) = HostName.split(authority, defaultPort: defaultPort) else { return nil }
    return service(of: host, port: port)
  }

  /// `host` in lower case.
  package func service(of host: String, port: UInt16) -> ServicePort? {
    if let service = exact[Place(host: host, port: port)] { return service }
    var rest = Substring(host)
    while let dot = rest.firstIndex(of: ".") {
      rest = rest[rest.index(after: dot)...]
      if let service = wildcards[Place(host: String(rest), port: port)] { return service }
    }
    return nil
  }
}

/// Names of the DNS as clients write them.
package enum HostName {
  /// Host in lower case, without the dot that may end it, and port. Nil for what is no name of the DNS.
  package static func split(_ authority: String, defaultPort: UInt16) -> (host: String, port: UInt16)? {
    var host = Substring(authority)
    var port = defaultPort
    if let colon = authority.lastIndex(of: ":") {
      let digits = authority[authority.index(after: colon)...]
      guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(digits), number > 0 else {
        return nil
      }
      port = number
      host = authority[..<colon]
    }
    if host.utf8.last == UInt8(ascii: ".") { host.removeLast() }
    guard host.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
    let name = host.lowercased()
    return isName(name) ? (name, port) : nil
  }

  /// Labels of `a-z 0-9 - _`, joined by dots, 253 bytes at most. In lower case.
  package static func isName(_ name: String) -> Bool {
    guard (1...253).contains(name.utf8.count) else { return false }
    return name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
      (1...63).contains(label.utf8.count)
        && label.utf8.allSatisfy {
          (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F
        }
    }
  }

  /// Whether `pattern` is `name`, or a wildcard that covers it.
  package static func covers(_ pattern: String, _ name: String) -> Bool {
    guard pattern.hasPrefix("*.") else { return pattern == name }
    return name.utf8.count >= pattern.utf8.count && name.hasSuffix(pattern.dropFirst())
  }
}
