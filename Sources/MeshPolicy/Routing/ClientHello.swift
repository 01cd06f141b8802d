import MeshCore

/// What the first bytes of a connection say of the TLS server that its client asks for (RFC 8446, section 4.1.2; RFC 6066,
/// section 3). Only looked at: the connection stays one between the client and that server.
package enum ClientHello: Hashable, Sendable {
  /// All is well so far, and more must come.
  case incomplete
  /// The name in lower case; nil when the client gives none.
  case complete(serverName: String?)
  case notTLS
  case malformed
  /// Longer than the limit, or says that it will be.
  case tooLong

  /// Reads `bytes`, which begin with the connection's first, as often as there are more of them. `limit` counts the heads of
  /// records, too.
  package static func parse(_ bytes: UnsafeRawBufferPointer, limit: Int) -> ClientHello {
    // Whether a greeting is too long must not depend on how much of what follows came along.
    var records = Records(bytes.slice(0, min(bytes.count, limit)))
    let hello = records.readMessage(limit: limit)
    return hello == .incomplete && bytes.count >= limit ? .tooLong : hello
  }
}

/// The handshake message that TLS records carry. A client may cut it into any number of them (RFC 8446, section 5.1).
private struct Records {
  private static let headBytes = 5
  private static let handshake: UInt8 = 22
  private static let clientHello: UInt8 = 1
  private static let maximumBytes = 1 << 14
  /// No client cuts its greeting into more; every look at it walks over them.
  private static let maximumRecords = 64

  private let bytes: UnsafeRawBufferPointer
  /// What each record holds of the message, as far as it has come.
  private var pieces: [Range<Int>] = []
  private var count = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func readMessage(limit: Int) -> ClientHello {
    var offset = 0
    while offset < bytes.count {
      guard bytes[offset] == Self.handshake, bytes.count == offset + 1 || bytes[offset + 1] == 3 else {
        return offset == 0 ? .notTLS : .malformed
      }
      let start = offset + Self.headBytes
      guard start <= bytes.count else { return .incomplete }
      let length = Int(bytes[offset + 3]) << 8 | Int(bytes[offset + 4])
      // An empty record of a handshake is an error (section 5.1).
      guard (1...Self.maximumBytes).contains(length) else { return .malformed }
      let end = min(start + length, bytes.count)
      guard pieces.count < Self.maximumRecords else { return .malformed }
      if start < end {
        pieces.append(start..<end)
        count += end - start
      }
      if let hello = parse(limit: limit) { return hello }
      offset = start + length
    }
    return .incomplete
  }

  /// Nil while bytes of the message are missing.
  private func parse(limit: Int) -> ClientHello? {
    guard let first = byte(0) else { return nil }
    guard first == Self.clientHello else { return .malformed }
    guard let high = byte(1), let middle = byte(2), let low = byte(3) else { return nil }
    let length = Int(high) << 16 | Int(middle) << 8 | Int(low)
    if 4 + length > limit { return .tooLong }
    guard count >= 4 + length else { return nil }
    if let piece = pieces.first, piece.count >= 4 + length {
      return HelloBody.parse(bytes.slice(piece.lowerBound + 4, length))
    }
    return withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { joined in
      var end = 0
      for piece in pieces {
        UnsafeMutableRawBufferPointer(rebasing: joined[end...])
          .copyMemory(from: bytes.slice(piece.lowerBound, piece.count))
        end += piece.count
      }
      return HelloBody.parse(UnsafeRawBufferPointer(rebasing: joined[4..<(4 + length)]))
    }
  }

  /// The message's byte at `index`; nil when it has not come.
  private func byte(_ index: Int) -> UInt8? {
    var rest = index
    for piece in pieces {
      if rest < piece.count { return bytes[piece.lowerBound + rest] }
      rest -= piece.count
    }
    return nil
  }
}

/// The fields of a whole ClientHello. Nil from a reader: the message ends within the field.
private struct HelloBody {
  private static let serverName = 0
  private static let hostName: UInt8 = 0
  private var rest: UnsafeRawBufferPointer

  static func parse(_ bytes: UnsafeRawBufferPointer) -> ClientHello {
    var body = HelloBody(rest: bytes)
    // legacy_version and random, legacy_session_id, cipher_suites, legacy_compression_methods
    guard body.take(2 + 32) != nil, let session = body.vector(1), session.count <= 32,
      let suites = body.vector(2), suites.count >= 2, suites.count % 2 == 0,
      let compressions = body.vector(1), !compressions.isEmpty
    else { return .malformed }
    // TLS 1.2 knows a hello without extensions.
    if body.rest.isEmpty { return .complete(serverName: nil) }
    guard let extensions = body.vector(2), body.rest.isEmpty else { return .malformed }
    return parse(extensions: HelloBody(rest: extensions))
  }

  private static func parse(extensions list: HelloBody) -> ClientHello {
    var list = list
    var name: String?
    while !list.rest.isEmpty {
      guard let type = list.number(2), let content = list.vector(2) else { return .malformed }
      guard type == serverName else { continue }
      // "There MUST NOT be more than one extension of the same type."
      guard name == nil, let found = host(in: HelloBody(rest: content)) else { return .malformed }
      name = found
    }
    return .complete(serverName: name)
  }

  /// The list has one name: there is one type of names, and of each type at most one may stand in it.
  private static func host(in content: HelloBody) -> String? {
    var content = content
    guard let entries = content.vector(2), content.rest.isEmpty else { return nil }
    var list = HelloBody(rest: entries)
    guard list.number(1) == Int(hostName), let name = list.vector(2), list.rest.isEmpty else { return nil }
    return ServerNameSyntax.lowercased(name)
  }

  private mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
    guard count <= rest.count else { return nil }
    defer { rest = rest.slice(count, rest.count - count) }
    return rest.slice(0, count)
  }

  private mutating func number(_ bytes: Int) -> Int? {
    take(bytes).map { $0.reduce(0) { $0 << 8 | Int($1) } }
  }

  /// Bytes behind their number, which takes `width` bytes.
  private mutating func vector(_ width: Int) -> UnsafeRawBufferPointer? {
    number(width).flatMap { take($0) }
  }
}

/// Names of TLS servers, as clients send them and as rules have them.
package enum ServerNameSyntax {
  package static let maximumBytes = 253

  /// Labels of letters, digits, `-` and `_` with dots between them; nil for anything else. Addresses have no place here, but
  /// some clients send them, and they are names of no rule.
  package static func lowercased(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard (1...maximumBytes).contains(bytes.count) else { return nil }
    var previous = UInt8(ascii: ".")
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "."): guard previous != byte else { return nil }
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        break
      default: return nil
      }
      previous = byte
    }
    guard previous != UInt8(ascii: ".") else { return nil }
    return String(unsafeUninitializedCapacity: bytes.count) { target in
      for (index, byte) in bytes.enumerated() {
        let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
        target[index] = isUpper ? byte | 0x20 : byte
      }
      return bytes.count
    }
  }
}
