package import MeshCore
package import MeshHTTP

/// Finds the key of a request that the hashing algorithms go by. Allocates nothing for a request that has one.
package struct RequestKey: Sendable {
  private let source: HashSource
  private let name: [UInt8]

  package init(_ source: HashSource) {
    self.source = source
    name =
      switch source {
      case .header(let name), .query(let name): Array(name.utf8)
      case .cookie(let cookie): Array(cookie.name.utf8)
      case .sourceAddress: []
      }
  }

  /// The key that a request has whose part is `value`.
  package static func key(of value: String) -> UInt64 {
    var hash = StableHash()
    for byte in value.utf8 { hash.add(byte) }
    return hash.value
  }

  /// What a client without it is given.
  package var cookie: AffinityCookie? {
    if case .cookie(let cookie) = source { cookie } else { nil }
  }

  /// Nil when the request has no such part, or it is empty.
  package func find(in head: MessageHead, client: SocketAddress?) -> UInt64? {
    name.withUnsafeBytes { name in
      switch source {
      case .header: Self.headerKey(head, name)
      case .cookie: Self.cookieKey(head, name)
      case .query: head.target.query.firstParameter(named: name).flatMap { $0.isEmpty ? nil : Self.key(of: $0) }
      case .sourceAddress: client.map { Self.key(of: $0) }
      }
    }
  }

  private static func key(of bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = StableHash()
    hash.add(bytes)
    return hash.value
  }

  private static func key(of client: SocketAddress) -> UInt64 {
    var hash = StableHash()
    hash.add(client, withPort: false)
    return hash.value
  }

  /// Field lines of one name are one list (RFC 9110, section 5.3): another proxy may have joined them with commas.
  private static func headerKey(_ head: MessageHead, _ name: UnsafeRawBufferPointer) -> UInt64? {
    var hash = StableHash()
    var isFirst = true
    var hasBytes = false
    for field in head.fields where !field.isRemoved && head.bytes(field.name).equalsIgnoringCase(name) {
      if !isFirst { hash.add(UInt8(ascii: ",")) }
      isFirst = false
      let value = head.bytes(field.value)
      if !value.isEmpty { hasBytes = true }
      hash.add(value)
    }
    return hasBytes ? hash.value : nil
  }

  // MARK: - Cookies

  /// HTTP/2 may split the list over several field lines (RFC 9113, section 8.2.3).
  private static func cookieKey(_ head: MessageHead, _ name: UnsafeRawBufferPointer) -> UInt64? {
    for field in head.fields where field.token == .cookie && !field.isRemoved {
      var first: UnsafeRawBufferPointer?
      CookieList.forEach(head.bytes(field.value)) { cookie, value in
        if first == nil, cookie.equals(name) { first = value }
      }
      if let first, !first.isEmpty { return key(of: first) }
    }
    return nil
  }
}

/// A cookie that the proxy gives a client: with its first answer, and with the value that its first request was sent by.
package struct IssuedCookie: Sendable {
  /// The value of `Set-Cookie`.
  package let field: String
  /// What the requests that bring it back will have for a key.
  package let key: UInt64

  /// `draw` is random. It need not be a secret: with another's value a client gets another's endpoint, nothing else.
  package init(_ cookie: AffinityCookie, draw: UInt64) {
    let digits = String(draw, radix: 16)
    let value = String(repeating: "0", count: 16 - digits.utf8.count) + digits
    var hash = StableHash()
    for byte in value.utf8 { hash.add(byte) }
    key = hash.value
    var field = "\(cookie.name)=\(value)"
    if let lifetime = cookie.lifetime { field += "; Max-Age=\(max(1, lifetime.nanoseconds / 1_000_000_000))" }
    if !cookie.path.isEmpty { field += "; Path=\(cookie.path)" }
    self.field = field + "; HttpOnly"
  }
}
