package import MeshCore

/// Writes HTTP/1.1 messages (RFC 9112) to a `ByteQueue`.
///
/// `Content-Length`, `Transfer-Encoding` and `Connection` come from the arguments, never from the head. Hop-by-hop
/// fields and
/// fields that the head's `Connection` names are left out; all others keep their order and letter case. The head is
/// trusted to
/// hold valid bytes: both decoders guarantee it. Stateless; runs on the worker that owns the queue.
package enum HTTP1Encoder {
  /// The form of the request target (RFC 9112, section 3.2). An `*` path is written as it is in origin form.
  package enum Form: Sendable { case origin, absolute, authority }

  /// Room for the start line's fixed parts and the fields that the encoder adds itself.
  static let fixedRoom = 256

  /// Writes the head of a request. `upgrade` passes the head's `Upgrade` field on.
  package static func request(
    _ head: MessageHead, framing: BodyFraming, keepAlive: Bool, upgrade: Bool, form: Form, into queue: ByteQueue
  ) {
    let startLine = Int(head.methodBytes.length) + Int(head.path.length) + 2 * Int(head.authority.length)
    var writer = HeadWriter(queue, reserving: fixedRoom + startLine + Int(head.scheme.length) + fieldBytes(head))
    writeRequestLine(head, form, &writer)
    let hasAuthority = !head.authority.isEmpty
    if hasAuthority || !head.contains(.host) {
      writer.write("Host: ")
      writer.write(head.bytes(head.authority))
      writer.write("\r\n")
    }
    writeFields(head, skipping: hasAuthority ? .host : .other, keepingLength: false, upgrade: upgrade, &writer)
    switch framing {
    case .length(let length):
      writeContentLength(length, &writer)
    case .chunked:
      writer.write("Transfer-Encoding: chunked\r\n")
    case .none, .untilClose, .tunnel:
      // RFC 9110, section 8.6: a method that expects content says that there is none.
      if head.method == .post || head.method == .put || head.method == .patch { writeContentLength(0, &writer) }
    }
    let acceptsTrailers = head.acceptsTrailers
    if acceptsTrailers { writer.write("TE: trailers\r\n") }
    writeConnection(close: !keepAlive, keepAlive: false, upgrade: upgrade, te: acceptsTrailers, &writer)
    writer.write("\r\n")
    writer.commit()
  }

  /// Writes the head of a response, interim ones too.
  ///
  /// - Parameters:
  ///   - framing: how the content will follow. For a client of HTTP/1.0 it is never `.chunked`.
  ///   - version: the client's version. Interim responses are not written to HTTP/1.0 (RFC 9110, section 15.2).
  ///   - upgrade: passes the head's `Upgrade` field on (101, or 426).
  ///   - requestMethod: HEAD and CONNECT change what framing fields mean.
  package static func response(
    _ head: MessageHead, framing: BodyFraming, version: MessageHead.Version, keepAlive: Bool, upgrade: Bool,
    requestMethod: Method, into queue: ByteQueue
  ) {
    let status = head.status
    let isInterim = (100...199).contains(status)
    if isInterim && version == .http10 { return }
    var writer = HeadWriter(queue, reserving: fixedRoom + fieldBytes(head))
    writer.write("HTTP/1.1 ")
    writer.write(decimal: UInt64(status))
    writer.write(UInt8(0x20))
    writer.write(reasonPhrase(status))
    writer.write("\r\n")
    // A response to HEAD and a 304 may tell the length that a GET would have had.
    let describesOther = requestMethod == .head || status == 304
    let isTunnel = status == 101 || requestMethod == .connect && (200...299).contains(status)
    writeFields(
      head, skipping: .other, keepingLength: describesOther && framing == .none, upgrade: upgrade, &writer)
    var closes = !keepAlive
    if !isInterim && !isTunnel && status != 204 {
      switch framing {
      case .length(let length): writeContentLength(length, &writer)
      case .chunked where version == .http10: closes = true
      case .chunked: if !describesOther { writer.write("Transfer-Encoding: chunked\r\n") }
      case .none: if !describesOther { writeContentLength(0, &writer) }
      case .untilClose: if !describesOther { closes = true }
      case .tunnel: closes = true
      }
    }
    if isInterim || isTunnel {
      writeConnection(close: false, keepAlive: false, upgrade: upgrade, te: false, &writer)
    } else {
      writeConnection(close: closes, keepAlive: !closes && version == .http10, upgrade: upgrade, te: false, &writer)
    }
    writer.write("\r\n")
    writer.commit()
  }

  /// Writes one chunk. Nothing for no bytes, since an empty chunk would end the content.
  package static func chunk(_ bytes: UnsafeRawBufferPointer, into queue: ByteQueue) {
    guard bytes.count > 0 else { return }
    var writer = HeadWriter(queue, reserving: bytes.count + 20)
    writer.write(hexadecimal: UInt64(bytes.count))
    writer.write("\r\n")
    writer.write(bytes)
    writer.write("\r\n")
    writer.commit()
  }

  /// Ends chunked content. Trailer fields that may not stand there are left out.
  package static func lastChunk(trailers: MessageHead?, into queue: ByteQueue) {
    var writer = HeadWriter(queue, reserving: 8 + (trailers.map(fieldBytes) ?? 0))
    writer.write("0\r\n")
    if let trailers {
      for field in trailers.fields where !field.isRemoved && !field.token.isForbiddenInTrailers {
        writeField(field, trailers, &writer)
      }
    }
    writer.write("\r\n")
    writer.commit()
  }

  // MARK: - Parts

  private static func writeRequestLine(_ head: MessageHead, _ form: Form, _ writer: inout HeadWriter) {
    if head.method == .other { writer.write(head.bytes(head.methodBytes)) } else { writer.write(head.method.name) }
    writer.write(UInt8(0x20))
    let path = head.bytes(head.path)
    let isAsterisk = path.count == 1 && path[0] == 0x2A
    switch form {
    case .authority:
      writer.write(head.bytes(head.authority))
    case .absolute:
      if head.scheme.isEmpty { writer.write("http") } else { writer.write(head.bytes(head.scheme)) }
      writer.write("://")
      writer.write(head.bytes(head.authority))
      if path.isEmpty { writer.write(UInt8(0x2F)) } else if !isAsterisk { writer.write(path) }
    case .origin:
      if path.isEmpty { writer.write(UInt8(0x2F)) } else { writer.write(path) }
    }
    writer.write(" HTTP/1.1\r\n")
  }

  /// Bytes that all live fields take on the wire.
  private static func fieldBytes(_ head: MessageHead) -> Int {
    var sum = 0
    for field in head.fields where !field.isRemoved {
      sum &+= Int(field.name.length) &+ Int(field.value.length) &+ 4
    }
    return sum
  }

  private static func writeFields(
    _ head: MessageHead, skipping skipped: HeaderToken, keepingLength: Bool, upgrade: Bool, _ writer: inout HeadWriter
  ) {
    let mayNominate = head.nominatesFields
    // Neighbouring lines that go on as they came are copied in one piece.
    var run = MessageHead.Slice.empty
    for field in head.fields where !field.isRemoved {
      switch field.token {
      case .contentLength where !keepingLength: continue
      case .upgrade where upgrade: break
      case skipped where skipped != .other: continue
      case let token where token.isHopByHop: continue
      default: if mayNominate && head.isNominated(field) { continue }
      }
      if let line = head.line(of: field) {
        if run.offset &+ run.length == line.offset, run.length > 0 {
          run.length &+= line.length
        } else {
          writer.write(head.bytes(run))
          run = line
        }
        continue
      }
      writer.write(head.bytes(run))
      run = .empty
      writeField(field, head, &writer)
    }
    writer.write(head.bytes(run))
  }

  @inline(__always)
  private static func writeField(_ field: MessageHead.Field, _ head: MessageHead, _ writer: inout HeadWriter) {
    writer.write(head.bytes(field.name))
    writer.write(": ")
    writer.write(head.bytes(field.value))
    writer.write("\r\n")
  }

  private static func writeContentLength(_ length: UInt64, _ writer: inout HeadWriter) {
    writer.write("Content-Length: ")
    writer.write(decimal: length)
    writer.write("\r\n")
  }

  private static func writeConnection(
    close: Bool, keepAlive: Bool, upgrade: Bool, te: Bool, _ writer: inout HeadWriter
  ) {
    guard close || keepAlive || upgrade || te else { return }
    writer.write("Connection: ")
    var isFirst = true
    write(option: "close", if: close, &isFirst, &writer)
    write(option: "keep-alive", if: keepAlive, &isFirst, &writer)
    write(option: "upgrade", if: upgrade, &isFirst, &writer)
    write(option: "TE", if: te, &isFirst, &writer)
    writer.write("\r\n")
  }

  private static func write(
    option: StaticString, if isSet: Bool, _ isFirst: inout Bool, _ writer: inout HeadWriter
  ) {
    guard isSet else { return }
    if !isFirst { writer.write(", ") }
    writer.write(option)
    isFirst = false
  }
}
