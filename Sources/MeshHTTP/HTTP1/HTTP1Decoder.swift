import MeshCore

/// Reads one direction of an HTTP/1 connection (RFC 9112): requests of a client, or responses of a server.
///
/// Pull-style and without I/O: the caller owns the input, asks `next` what is at its front and drops what was consumed.
/// Heads stay in the input until they are complete and are then copied once into the caller's `MessageHead`; content is
/// handed out in place. Parsing is strict: whatever two implementations could read in two ways is an `HTTP1Error`.
/// Resumable at every byte, and the events do not depend on how the bytes were cut. Confined to one worker loop.
/// Limits: `HTTP1Limits`.
package struct HTTP1Decoder {
  package enum Role: Sendable { case request, response }

  package enum Event {
    /// Nothing more can be said before more bytes arrive.
    case needMore
    /// The head of a request or final response is in `head`.
    case head(HTTP1Head)
    /// An interim (1xx) response is in `head`; the head of another response follows.
    case informational
    /// A piece of content. The bytes lie in the input given to `next` and are valid until they are consumed.
    case body(UnsafeRawBufferPointer)
    /// Trailer fields are in `trailers`. Only reported if there are any.
    case trailers
    /// The message is complete; what follows is the next one.
    case end
    /// The connection cannot go on. Reported again at every further call.
    case failure(HTTP1Error)
  }

  enum State {
    case startLine
    case fields
    case content
    case chunkLine
    case chunkContent
    case chunkEnd
    case trailers
    case untilClose
    case ending
    case closed
    case failed(HTTP1Error)
  }

  package let role: Role
  package let limits: HTTP1Limits
  var state = State.startLine
  var scanner = LineScanner()
  var facts = FramingFacts()
  var target = RequestTarget()
  /// Bytes left of the content or of the current chunk.
  var remaining: UInt64 = 0
  var extensionBytes = 0
  var informationalResponses = 0
  var skippedEmptyLine = false
  var requestMethod = Method.get

  package init(role: Role, limits: HTTP1Limits = .init()) {
    self.role = role
    self.limits = limits
  }

  /// Says which request the next response answers; HEAD and CONNECT change its framing. Holds until called again.
  package mutating func expectResponse(to method: Method) { requestMethod = method }

  /// Passes everything after the current message through as `.body`: for the client's side of an accepted CONNECT or
  /// upgrade, once its request has ended. A response decoder does this by itself.
  package mutating func becomeTunnel() { state = .untilClose }

  /// True between messages with nothing of the next one seen.
  package var isIdle: Bool {
    if case .startLine = state { return scanner.isFresh && !hasPartialEmptyLine }
    return false
  }

  /// Bytes looked at by the search for line ends; grows linearly with the bytes fed.
  package var bytesExamined: Int { scanner.bytesExamined }

  /// A lone CR was seen where the tolerated empty line could begin.
  var hasPartialEmptyLine = false

  /// What is at the front of `input`. Drop `consumed` bytes before the next call, after using a `.body`.
  ///
  /// `head` is filled while its bytes arrive: pass the same object, untouched, until `.head`, `.informational` or a
  /// failure;
  /// the same holds for `trailers` from the end of the content on. Neither is touched when `input` is empty.
  package mutating func next(
    _ input: UnsafeRawBufferPointer, head: MessageHead, trailers: MessageHead
  ) -> (event: Event, consumed: Int) {
    var offset = 0
    while true {
      switch state {
      case .startLine:
        if let event = readStartLine(input, &offset, head) { return (event, offset) }
      case .fields:
        if let event = readFields(input, &offset, head) { return (event, offset) }
      case .content, .chunkContent:
        return takeContent(input, offset)
      case .chunkLine:
        if let event = readChunkLine(input, &offset, trailers) { return (event, offset) }
      case .chunkEnd:
        if let event = readChunkEnd(input, &offset) { return (event, offset) }
      case .trailers:
        if let event = readTrailers(input, &offset, trailers) { return (event, offset) }
      case .untilClose:
        let rest = UnsafeRawBufferPointer(rebasing: input[offset...])
        return rest.isEmpty ? (.needMore, offset) : (.body(rest), input.count)
      case .ending:
        finishMessage()
        return (.end, offset)
      case .closed:
        return (.needMore, offset)
      case .failed(let error):
        return (.failure(error), offset)
      }
    }
  }

  /// The peer closed its side, and all it sent was given to `next` before. `.end` completes a message that lasts until
  /// then,
  /// `.needMore` means that nothing was cut off.
  package mutating func endOfInput() -> Event {
    switch state {
    case .untilClose, .ending:
      state = .closed
      return .end
    case .closed:
      return .needMore
    case .startLine where isIdle && informationalResponses == 0:
      state = .closed
      return .needMore
    case .failed(let error):
      return .failure(error)
    default:
      return fail(.truncated)
    }
  }

  mutating func fail(_ error: HTTP1Error) -> Event {
    state = .failed(error)
    return .failure(error)
  }

  private mutating func finishMessage() {
    state = .startLine
    scanner.restart()
    skippedEmptyLine = false
    informationalResponses = 0
  }

  private mutating func takeContent(_ input: UnsafeRawBufferPointer, _ offset: Int) -> (Event, Int) {
    let available = input.count &- offset
    guard available > 0 else { return (.needMore, offset) }
    let taken = remaining < UInt64(available) ? Int(remaining) : available
    remaining &-= UInt64(taken)
    if remaining == 0 {
      if case .content = state { state = .ending } else { state = .chunkEnd }
    }
    return (.body(input.slice(offset, taken)), offset &+ taken)
  }
}
