import MeshCore

/// Memory for one field name in lower case; grows to the longest.
final class HTTP2NameScratch {
  private var base = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 8)
  private var capacity = 128

  deinit { base.deallocate() }

  func lowercased(_ name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    if name.count > capacity {
      base.deallocate()
      capacity = name.count * 2
      base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    }
    for i in 0..<name.count { base.storeBytes(of: name[i].asciiLowercased, toByteOffset: i, as: UInt8.self) }
    return UnsafeRawBufferPointer(start: base, count: name.count)
  }
}

extension HTTP2Connection {
  /// Most bytes that the field block of `head` can take.
  func blockBound(_ head: MessageHead) -> Int {
    var bound = HPACKEncoder.blockOverhead &+ 6 &* HPACKEncoder.bound(name: 10, value: 8)
    bound &+= Int(head.path.length) &+ Int(head.authority.length) &+ Int(head.scheme.length)
    bound &+= Int(head.methodBytes.length) &+ Int(head.connectProtocol.length)
    for field in head.fields {
      bound &+= HPACKEncoder.bound(name: Int(field.name.length), value: Int(field.value.length))
    }
    // `Host` may stand in for an authority.
    if head.authority.isEmpty, let host = head.value(.host) { bound &+= host.count }
    return bound
  }

  /// RFC 9113, section 8.3.1.
  static func encodeRequestLine(
    _ head: MessageHead, _ start: UnsafeMutableRawPointer, _ encoder: inout HPACKEncoder
  ) -> UnsafeMutableRawPointer {
    var out = start
    switch head.method {
    case .get: out = encoder.encodeStatic(2, to: out)
    case .post: out = encoder.encodeStatic(3, to: out)
    case .other: out = pseudo(.method, ":method", head.bytes(head.methodBytes), out, &encoder)
    default: out = pseudo(.method, ":method", Self.bytes(head.method.name), out, &encoder)
    }
    if head.method != .connect || !head.connectProtocol.isEmpty {
      let scheme = head.bytes(head.scheme)
      if scheme.equals("https") {
        out = encoder.encodeStatic(7, to: out)
      } else if scheme.isEmpty || scheme.equals("http") {
        out = encoder.encodeStatic(6, to: out)
      } else {
        out = pseudo(.scheme, ":scheme", scheme, out, &encoder)
      }
    }
    let authority = head.authority.isEmpty ? head.value(.host) : head.bytes(head.authority)
    if let authority, !authority.isEmpty { out = pseudo(.authority, ":authority", authority, out, &encoder) }
    guard head.method != .connect || !head.connectProtocol.isEmpty else { return out }
    let path = head.bytes(head.path)
    if path.isEmpty, head.method == .options {
      out = pseudo(.path, ":path", Self.bytes("*"), out, &encoder)
    } else if path.isEmpty || path.equals("/") {
      out = encoder.encodeStatic(4, to: out)
    } else {
      out = pseudo(.path, ":path", path, out, &encoder)
    }
    if !head.connectProtocol.isEmpty {
      out = pseudo(.connectProtocol, ":protocol", head.bytes(head.connectProtocol), out, &encoder)
    }
    return out
  }

  /// RFC 9113, section 8.3.2.
  static func encodeStatus(
    _ status: UInt16, _ out: UnsafeMutableRawPointer, _ encoder: inout HPACKEncoder
  ) -> UnsafeMutableRawPointer {
    switch status {
    case 200: return encoder.encodeStatic(8, to: out)
    case 204: return encoder.encodeStatic(9, to: out)
    case 206: return encoder.encodeStatic(10, to: out)
    case 304: return encoder.encodeStatic(11, to: out)
    case 400: return encoder.encodeStatic(12, to: out)
    case 404: return encoder.encodeStatic(13, to: out)
    case 500: return encoder.encodeStatic(14, to: out)
    default: return withDecimal(Int(status)) { pseudo(.status, ":status", $0, out, &encoder) }
    }
  }

  static func encodeFields(
    _ head: MessageHead, _ start: UnsafeMutableRawPointer, isRequest: Bool, isTrailers: Bool,
    _ encoder: inout HPACKEncoder, _ nameScratch: HTTP2NameScratch
  ) -> UnsafeMutableRawPointer {
    var out = start
    for field in head.fields where !field.isRemoved {
      let value = head.bytes(field.value)
      var name: UnsafeRawBufferPointer
      switch field.token {
      case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .http2Settings: continue
      case .host where isRequest: continue
      case .te where !value.equalsIgnoringCase("trailers"): continue
      case let token where isTrailers && token.isForbiddenInTrailers: continue
      case .other: name = nameScratch.lowercased(head.bytes(field.name))
      default: name = Self.bytes(field.token.name)
      }
      let kind = FieldKind(rawValue: field.token.rawValue)
      out = encoder.encode(kind, name: name, value: value, isNeverIndexed: field.isNeverIndexed, to: out)
    }
    return out
  }

  private static func pseudo(
    _ kind: FieldKind, _ name: StaticString, _ value: UnsafeRawBufferPointer, _ out: UnsafeMutableRawPointer,
    _ encoder: inout HPACKEncoder
  ) -> UnsafeMutableRawPointer {
    encoder.encode(kind, name: Self.bytes(name), value: value, isNeverIndexed: false, to: out)
  }

  static func bytes(_ literal: StaticString) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
  }
}
