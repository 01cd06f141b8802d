import MeshCore
package import MeshHTTP

/// The header changes of one rule and direction, ready to apply (Gateway API, HTTPHeaderFilter).
///
/// Order: remove, set, add. Fields that frame the message or belong to one connection, pseudo-header fields, and the
/// mesh's own `x-apus-*` fields are out of its reach, and so is any name or value that HTTP/1 could not carry; such
/// entries are listed in `refused`. Setting `Host` on a request changes its authority.
package struct CompiledHeaderFilter: Sendable {
  private struct Change {
    var name: [UInt8]
    var token: HeaderToken
    var value: [UInt8]
    var replaces: Bool
  }

  private var removals: [[UInt8]] = []
  private var changes: [Change] = []
  private var authority: [UInt8]?
  /// Names of entries that were left out.
  package private(set) var refused: [String] = []

  /// Nothing to do; the caller can skip `apply`.
  package var isEmpty: Bool { removals.isEmpty && changes.isEmpty && authority == nil }

  package init(_ filters: [HeaderFilter], direction: HeaderFilter.Direction) {
    for filter in filters where filter.direction == direction {
      for name in filter.remove {
        if Self.isChangeable(name) { removals.append(Array(name.utf8)) } else { refused.append(name) }
      }
      for pair in filter.set { add(pair, replaces: true, direction) }
      for pair in filter.add { add(pair, replaces: false, direction) }
    }
  }

  package func apply(to head: MessageHead) {
    for name in removals { name.withUnsafeBytes { head.remove(named: $0) } }
    for change in changes {
      change.name.withUnsafeBytes { name in
        if change.replaces { head.remove(named: name) }
        let nameSlice = head.intern(name)
        let valueSlice = change.value.withUnsafeBytes { head.intern($0) }
        head.append(MessageHead.Field(name: nameSlice, value: valueSlice, token: change.token))
      }
    }
    if let authority {
      head.authority = authority.withUnsafeBytes { head.intern($0) }
      head.remove(.host)
    }
  }

  private mutating func add(_ pair: HeaderPair, replaces: Bool, _ direction: HeaderFilter.Direction) {
    guard pair.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
      refused.append(pair.name)
      return
    }
    if pair.name.lowercased() == "host" && replaces && direction == .request && !pair.value.isEmpty {
      authority = Array(pair.value.utf8)
      return
    }
    guard Self.isChangeable(pair.name) else {
      refused.append(pair.name)
      return
    }
    let name = Array(pair.name.utf8)
    let token = name.withUnsafeBytes { HeaderToken.lookup($0) }
    changes.append(Change(name: name, token: token, value: Array(pair.value.utf8), replaces: replaces))
  }

  /// A field name (RFC 9110, section 5.6.2, token) that is not the proxy's own business.
  package static func isChangeable(_ name: String) -> Bool {
    guard !name.isEmpty, name.utf8.allSatisfy(isTokenByte), !name.lowercased().hasPrefix("x-apus-") else {
      return false
    }
    switch Array(name.utf8).withUnsafeBytes({ HeaderToken.lookup($0) }) {
    case .host, .connection, .contentLength, .transferEncoding, .te, .trailer, .upgrade, .keepAlive, .proxyConnection,
      .http2Settings, .expect, .xApusTargetPort, .xApusService:
      return false
    default:
      return true
    }
  }

  private static func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
    default: false
    }
  }
}
