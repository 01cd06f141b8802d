import MeshCore

/// Where a key set is fetched from: an absolute `http` or `https` URL without user information and fragment.
package struct KeySetURL: Hashable, Sendable {
  package let isTLS: Bool
  /// A name of the DNS in lower case, or an address without brackets.
  package let host: String
  package let port: UInt16
  /// Path and query.
  package let target: String
  /// As the field `Host` has it.
  package let authority: String

  package init?(_ text: String) {
    guard text.utf8.count <= 2_048, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !text.contains("#") else {
      return nil
    }
    let schemes = [("https://", true), ("http://", false)]
    guard let (scheme, isTLS) = schemes.first(where: { text.lowercased().hasPrefix($0.0) }) else { return nil }
    let rest = text.dropFirst(scheme.count)
    let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    let authority = rest[..<end].lowercased()
    guard let (host, port) = Self.split(authority) else { return nil }
    self.isTLS = isTLS
    self.host = host
    self.port = port ?? (isTLS ? 443 : 80)
    self.authority = authority
    target = rest[end...].hasPrefix("/") ? String(rest[end...]) : "/" + rest[end...]
  }

  /// A machine that talks to itself has nobody in between.
  package var isLoopback: Bool { host == "localhost" || host.hasPrefix("127.") || host == "::1" }

  private static func split(_ authority: String) -> (String, UInt16?)? {
    var host = Substring(authority)
    var port: UInt16?
    let colon = authority.lastIndex(of: ":")
    if let colon, !authority[colon...].contains("]"), authority.hasPrefix("[") || authority.firstIndex(of: ":") == colon
    {
      guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else { return nil }
      port = number
      host = authority[..<colon]
    }
    if host.hasPrefix("["), host.hasSuffix("]") {
      let inner = String(host.dropFirst().dropLast())
      return SocketAddress(inner, defaultPort: 1) == nil && SocketAddress("[\(inner)]:1") == nil ? nil : (inner, port)
    }
    let isName = !host.isEmpty && host.utf8.count <= 253 && !host.hasPrefix(".") && !host.contains("..")
    guard isName, host.utf8.allSatisfy(isHostByte) else { return nil }
    return (String(host), port)
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
    default: false
    }
  }
}
