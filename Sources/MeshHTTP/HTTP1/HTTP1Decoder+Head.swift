import MeshCore

/// Start line and field lines (RFC 9112, sections 2 to 5).
extension HTTP1Decoder {
  /// Reads the request or status line, or the one empty line tolerated before a request. Nil goes on with the next
  /// state.
  mutating func readStartLine(
    _ input: UnsafeRawBufferPointer, _ offset: inout Int, _ head: MessageHead
  ) -> Event? {
    var bytes = UnsafeRawBufferPointer(rebasing: input[offset...])
    guard bytes.count > 0 else { return .needMore }
    if role == .request, scanner.isFresh, !skippedEmptyLine, bytes[0] == 0x0D {
      hasPartialEmptyLine = bytes.count == 1
      guard bytes.count > 1 else { return .needMore }
      guard bytes[1] == 0x0A else { return fail(.bareCarriageReturn) }
      skippedEmptyLine = true
      offset &+= 2
      bytes = UnsafeRawBufferPointer(rebasing: input[offset...])
      guard bytes.count > 0 else { return .needMore }
    }
    if scanner.isFresh {
      head.reset()
      facts = FramingFacts()
    }
    let lineLimit = role == .request ? limits.maximumRequestLineBytes : limits.maximumStatusLineBytes
    // The CR may stand right behind the longest line, the LF after it.
    let window = min(bytes.count, lineLimit &+ 2, limits.maximumHeadBytes)
    switch scanner.scan(bytes, window: window) {
    case .line(let end):
      let line = bytes.slice(0, end)
      if let error = role == .request ? parseRequestLine(line, head) : parseStatusLine(line, head) {
        return fail(error)
      }
      scanner.advance(past: end)
      state = .fields
      return nil
    case .incomplete:
      if window == lineLimit &+ 2 { return fail(role == .request ? .requestLineTooLong : .statusLineTooLong) }
      return window == limits.maximumHeadBytes ? fail(.headTooLarge) : .needMore
    case .failure(let error):
      return fail(error)
    }
  }

  /// Reads field lines up to the empty line and interprets the head. Nil goes on with the next state.
  mutating func readFields(_ input: UnsafeRawBufferPointer, _ offset: inout Int, _ head: MessageHead) -> Event? {
    let bytes = UnsafeRawBufferPointer(rebasing: input[offset...])
    let window = min(bytes.count, limits.maximumHeadBytes)
    while true {
      switch scanner.scan(bytes, window: window) {
      case .line(let end) where end == scanner.lineStart:
        head.intern(bytes.slice(0, end &+ 2))
        offset &+= end &+ 2
        scanner.restart()
        return role == .request ? finishRequest(head) : finishResponse(head)
      case .line(let end):
        if head.fields.count >= limits.maximumFields { return fail(.tooManyFields) }
        switch parseField(bytes, scanner.lineStart, end) {
        case .success(let field):
          head.append(field)
          if let error = facts.note(field, at: head.fields.count &- 1, bytes, version: head.version) {
            return fail(error)
          }
        case .failure(let error):
          return fail(error)
        }
        scanner.advance(past: end)
      case .incomplete:
        return window == limits.maximumHeadBytes ? fail(.headTooLarge) : .needMore
      case .failure(let error):
        return fail(error)
      }
    }
  }

  /// Reads `bytes[start..<end]` as `name ":" OWS value OWS`. The line holds no control byte but tabs.
  @inline(__always)
  func parseField(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int
  ) -> Swift.Result<MessageHead.Field, HTTP1Error> {
    let colon = bytes.firstColon(from: start, to: end)
    let token = HeaderToken.lookup(bytes.slice(start, colon &- start))
    // A name that is known holds no byte that a name may not hold.
    if token == .other || colon == end, let error = Self.nameFault(bytes, start, colon, end) { return .failure(error) }
    var from = colon &+ 1
    var to = end
    while from < to, bytes[from].isBlank { from &+= 1 }
    while to > from, bytes[to &- 1].isBlank { to &-= 1 }
    return .success(
      MessageHead.Field(
        name: .init(offset: start, length: colon &- start), value: .init(offset: from, length: to &- from), token: token
      ))
  }

  /// What is wrong with the name `bytes[start..<colon]` of a line that ends at `end`; nil for a valid one.
  private static func nameFault(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ colon: Int, _ end: Int
  ) -> HTTP1Error? {
    var i = start
    while i < colon, bytes[i].isTokenByte { i &+= 1 }
    if i == colon, colon > start, colon < end { return nil }
    if bytes[start].isBlank { return .foldedField }
    return i < end && bytes[i].isBlank ? .spaceBeforeColon : .invalidFieldName
  }

  /// `METHOD SP TARGET SP HTTP/1.x`, one space each.
  private mutating func parseRequestLine(_ line: UnsafeRawBufferPointer, _ head: MessageHead) -> HTTP1Error? {
    var i = 0
    while i < line.count, line[i].isTokenByte { i &+= 1 }
    guard i < line.count else { return .malformedRequestLine }
    guard line[i] == 0x20, i > 0 else { return i > 0 && line[i] == 0x09 ? .malformedRequestLine : .invalidMethod }
    head.method = Method(line.slice(0, i))
    if head.method == .other { head.methodBytes = .init(offset: 0, length: i) }
    let start = i &+ 1
    var end = start
    while end < line.count, line[end].isTargetByte { end &+= 1 }
    guard end < line.count else { return .malformedRequestLine }
    guard line[end] == 0x20 else { return line[end] == 0x09 ? .malformedRequestLine : .invalidTarget }
    guard end > start else { return .malformedRequestLine }
    guard let version = Self.version(line, at: end &+ 1, length: line.count &- end &- 1) else {
      return .malformedRequestLine
    }
    guard let known = version.known else { return .unsupportedVersion }
    head.version = known
    target = RequestTarget()
    return target.parse(line, start: start, end: end, method: head.method)
  }

  /// `HTTP/1.x SP 3DIGIT SP [reason]`. The reason phrase is not kept.
  private mutating func parseStatusLine(_ line: UnsafeRawBufferPointer, _ head: MessageHead) -> HTTP1Error? {
    guard line.count >= 13, line[8] == 0x20, line[12] == 0x20,
      let version = Self.version(line, at: 0, length: 8),
      line[9].isDigit, line[10].isDigit, line[11].isDigit, line[9] != 0x30
    else { return .malformedStatusLine }
    guard let known = version.known else { return .unsupportedVersion }
    head.version = known
    head.status =
      UInt16(line[9] &- 0x30) &* 100 &+ UInt16(line[10] &- 0x30) &* 10 &+ UInt16(line[11] &- 0x30)
    return nil
  }

  /// Reads `HTTP/DIGIT.DIGIT`; nil if malformed, a nil `known` for a version other than 1.0 and 1.1.
  private static func version(
    _ line: UnsafeRawBufferPointer, at start: Int, length: Int
  ) -> (known: MessageHead.Version?, Void)? {
    guard length == 8, line.slice(start, 5).equals("HTTP/"), line[start + 5].isDigit, line[start + 6] == 0x2E,
      line[start + 7].isDigit
    else { return nil }
    guard line[start + 5] == 0x31 else { return (nil, ()) }
    switch line[start + 7] {
    case 0x30: return (.http10, ())
    case 0x31: return (.http11, ())
    default: return (nil, ())
    }
  }
}
