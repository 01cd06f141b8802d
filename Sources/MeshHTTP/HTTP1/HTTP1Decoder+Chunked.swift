import MeshCore

/// The chunked transfer coding (RFC 9112, section 7.1).
extension HTTP1Decoder {
  /// `chunk-size [chunk-ext] CRLF`. Extensions are skipped. Nil goes on with the next state.
  mutating func readChunkLine(
    _ input: UnsafeRawBufferPointer, _ offset: inout Int, _ trailers: MessageHead
  ) -> Event? {
    let bytes = UnsafeRawBufferPointer(rebasing: input[offset...])
    let window = min(bytes.count, limits.maximumChunkLineBytes)
    switch scanner.scan(bytes, window: window) {
    case .line(let end):
      if let error = parseChunkLine(bytes.slice(0, end)) { return fail(error) }
      offset &+= end &+ 2
      scanner.restart()
      if remaining > 0 {
        state = .chunkContent
      } else {
        trailers.reset()
        state = .trailers
      }
      return nil
    case .incomplete:
      return window == limits.maximumChunkLineBytes ? fail(.chunkLineTooLong) : .needMore
    case .failure(.controlByte):
      return fail(.invalidChunkSize)
    case .failure(let error):
      return fail(error)
    }
  }

  private mutating func parseChunkLine(_ line: UnsafeRawBufferPointer) -> HTTP1Error? {
    var size: UInt64 = 0
    var i = 0
    while i < line.count, let digit = line[i].hexValue {
      guard i < 16 else { return .chunkSizeOverflow }
      size = size &<< 4 | digit
      i &+= 1
    }
    guard i > 0 else { return .invalidChunkSize }
    guard size <= UInt64(Int64.max) else { return .chunkSizeOverflow }
    remaining = size
    guard i < line.count else { return nil }
    extensionBytes &+= line.count &- i
    while i < line.count, line[i].isBlank { i &+= 1 }
    guard i < line.count, line[i] == 0x3B else { return .invalidChunkSize }
    return extensionBytes > limits.maximumChunkExtensionBytes ? .chunkExtensionsTooLarge : nil
  }

  /// The CRLF behind a chunk's content. Nil goes on with the next state.
  mutating func readChunkEnd(_ input: UnsafeRawBufferPointer, _ offset: inout Int) -> Event? {
    guard input.count > offset else { return .needMore }
    guard input[offset] == 0x0D else { return fail(.missingChunkEnd) }
    guard input.count > offset &+ 1 else { return .needMore }
    guard input[offset &+ 1] == 0x0A else { return fail(.missingChunkEnd) }
    offset &+= 2
    state = .chunkLine
    return nil
  }

  /// The trailer section up to its empty line. Fields that frame, route or authenticate are dropped (RFC 9110, 6.5.1).
  /// Nil goes on with the next state.
  mutating func readTrailers(
    _ input: UnsafeRawBufferPointer, _ offset: inout Int, _ trailers: MessageHead
  ) -> Event? {
    let bytes = UnsafeRawBufferPointer(rebasing: input[offset...])
    let window = min(bytes.count, limits.maximumTrailerBytes)
    while true {
      switch scanner.scan(bytes, window: window) {
      case .line(let end) where end == scanner.lineStart:
        trailers.intern(bytes.slice(0, end &+ 2))
        scanner.restart()
        state = .ending
        offset &+= end &+ 2
        return trailers.fields.contains(where: { !$0.isRemoved }) ? .trailers : nil
      case .line(let end):
        if trailers.fields.count >= limits.maximumFields { return fail(.tooManyTrailerFields) }
        switch parseField(bytes, scanner.lineStart, end) {
        case .success(var field):
          field.isRemoved = field.token.isForbiddenInTrailers
          trailers.append(field)
        case .failure(let error):
          return fail(error)
        }
        scanner.advance(past: end)
      case .incomplete:
        return window == limits.maximumTrailerBytes ? fail(.trailersTooLarge) : .needMore
      case .failure(let error):
        return fail(error)
      }
    }
  }
}
