import MeshCore
package import MeshHTTP

/// The places of a request where tokens may stand, ready for use. Looks without allocating.
package struct TokenPlaces {
  private enum Place {
    case header(name: [UInt8], prefix: [UInt8])
    case parameter([UInt8])
    case cookie([UInt8])
  }

  private let places: [Place]

  /// A token in a request. Valid until the head changes.
  package struct Found {
    /// Which of the locations.
    package var index: Int
    package var token: UnsafeRawBufferPointer
  }

  package init(_ locations: [TokenLocation]) {
    places = locations.map { location in
      switch location {
      case .header(let name, let prefix): .header(name: Array(name.utf8), prefix: Array(prefix.utf8))
      case .parameter(let name): .parameter(Array(name.utf8))
      case .cookie(let name): .cookie(Array(name.utf8))
      }
    }
  }

  /// The only token there is; nil for none. Two are a request that proxy and application could read differently
  /// (RFC 6750, section 2), so they are refused.
  package func find(in head: MessageHead) throws(TokenRefusal) -> Found? {
    var found: Found?
    var count = 0
    for (index, place) in places.enumerated() {
      forEach(place, head) { token in
        count += 1
        found = Found(index: index, token: token)
      }
    }
    if count > 1 { throw .several }
    return found
  }

  // MARK: - Looking

  private func forEach(_ place: Place, _ head: MessageHead, _ body: (UnsafeRawBufferPointer) -> Void) {
    switch place {
    case .header(let name, let prefix):
      name.withUnsafeBytes { name in
        forEachField(head, name) { field in
          if let token = prefix.withUnsafeBytes({ Self.token(head.bytes(field.value), after: $0) }) {
            body(token)
          }
        }
      }
    case .parameter(let name):
      name.withUnsafeBytes { name in
        QueryList.forEach(head.bytes(head.path)) { key, value in
          if QueryList.equals(key, name) { body(value) }
        }
      }
    case .cookie(let name):
      name.withUnsafeBytes { name in
        for field in head.fields where field.token == .cookie && !field.isRemoved {
          CookieList.forEach(head.bytes(field.value)) { key, value in if key.equals(name) { body(value) } }
        }
      }
    }
  }

  private func forEachField(
    _ head: MessageHead, _ name: UnsafeRawBufferPointer, _ body: (MessageHead.Field) -> Void
  ) {
    let token = HeaderToken.lookup(name)
    for field in head.fields where field.token == token && !field.isRemoved {
      if token != .other || head.bytes(field.name).equalsIgnoringCase(name) { body(field) }
    }
  }

  /// What stands behind `prefix`; nil where something else does, which is no token. A scheme of `Authorization` has whatever letter case and
  /// any number of spaces behind it (RFC 9110, section 11.4): what the application may take for a token is one here.
  private static func token(
    _ value: UnsafeRawBufferPointer, after prefix: UnsafeRawBufferPointer
  ) -> UnsafeRawBufferPointer? {
    let value = trimmed(value)
    if prefix.isEmpty { return value }
    let scheme = trimmed(prefix)
    guard value.count >= scheme.count else { return nil }
    let start = value.slice(0, scheme.count)
    let rest = value.slice(scheme.count, value.count - scheme.count)
    guard scheme.count < prefix.count else { return start.equals(scheme) ? rest : nil }
    guard start.equalsIgnoringCase(scheme), rest.first.map(isSpace) ?? true else { return nil }
    return trimmed(rest)
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  private static func trimmed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    var start = 0
    var end = bytes.count
    while start < end, isSpace(bytes[start]) { start &+= 1 }
    while end > start, isSpace(bytes[end &- 1]) { end &-= 1 }
    return bytes.slice(start, end &- start)
  }

  // MARK: - Taking out

  /// Takes the token of a location out of the request: whoever gets the request cannot use it elsewhere.
  package func remove(_ index: Int, from head: MessageHead) {
    switch places[index] {
    case .header(let name, _): name.withUnsafeBytes { head.remove(named: $0) }
    case .parameter(let name):
      let path = name.withUnsafeBytes { QueryList.without($0, head.bytes(head.path)) }
      head.path = path.withUnsafeBytes { head.intern($0) }
    case .cookie(let name): removeCookie(name, head)
    }
  }

  private func removeCookie(_ name: [UInt8], _ head: MessageHead) {
    for (index, field) in head.fields.enumerated() where field.token == .cookie && !field.isRemoved {
      var kept: [UInt8] = []
      var isThere = false
      CookieList.forEachPair(head.bytes(field.value)) { key, pair in
        if key.elementsEqual(name) {
          isThere = true
        } else {
          if !kept.isEmpty { kept += "; ".utf8 }
          kept += pair
        }
      }
      guard isThere else { continue }
      head.removeField(at: index)
      if !kept.isEmpty { kept.withUnsafeBytes { head.append(.cookie, $0) } }
    }
  }
}

/// The query of a path, as `application/x-www-form-urlencoded` has it.
enum QueryList {
  /// Calls `body` with the name and the value of each parameter, as written.
  static func forEach(
    _ path: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) {
    guard let mark = path.firstIndex(of: UInt8(ascii: "?")) else { return }
    var start = mark + 1
    while start <= path.count {
      let end = path[start...].firstIndex(of: UInt8(ascii: "&")) ?? path.count
      let pair = path.slice(start, end - start)
      let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.count
      body(
        pair.slice(0, equals), equals < pair.count ? pair.slice(equals + 1, pair.count - equals - 1) : pair.slice(0, 0))
      start = end + 1
    }
  }

  /// Whether `written` is `name` once its percent signs are resolved: an application resolves them.
  static func equals(_ written: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer) -> Bool {
    var at = 0
    var count = 0
    while at < written.count {
      var byte = written[at]
      at += 1
      if byte == UInt8(ascii: "%"), at + 1 < written.count, let high = hex(written[at]), let low = hex(written[at + 1])
      {
        byte = high << 4 | low
        at += 2
      }
      guard count < name.count, name[count] == byte else { return false }
      count += 1
    }
    return count == name.count
  }

  /// The path without the parameters called `name`.
  static func without(_ name: UnsafeRawBufferPointer, _ path: UnsafeRawBufferPointer) -> [UInt8] {
    guard let mark = path.firstIndex(of: UInt8(ascii: "?")) else { return Array(path) }
    var kept = Array(path[..<mark])
    var separator = UInt8(ascii: "?")
    for pair in path[(mark + 1)...].split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
      let key = UnsafeRawBufferPointer(rebasing: pair.prefix { $0 != UInt8(ascii: "=") })
      if equals(key, name) { continue }
      kept.append(separator)
      kept += pair
      separator = UInt8(ascii: "&")
    }
    return kept
  }

  private static func hex(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

extension CookieList {
  /// Calls `body` with the name of each cookie, and with name and value as they were written together.
  static func forEachPair(
    _ list: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) {
    for part in list.split(separator: UInt8(ascii: ";")) {
      let pair = UnsafeRawBufferPointer(rebasing: part.drop { $0 == UInt8(ascii: " ") })
      if pair.isEmpty { continue }
      body(UnsafeRawBufferPointer(rebasing: pair.prefix { $0 != UInt8(ascii: "=") }), pair)
    }
  }
}
