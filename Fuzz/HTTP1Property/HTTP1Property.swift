import MeshCore
package import MeshHTTP

/// Feeds `input` whole, byte by byte and in pieces of a size drawn from `seed`, and traps unless all report the same.
/// Small limits let short inputs reach them.
package func checkSplitInvariance(
  _ input: UnsafeRawBufferPointer, role: HTTP1Decoder.Role, requestMethod: Method, seed: UInt8
) {
  var limits = HTTP1Limits()
  if seed & 4 != 0 {
    limits.maximumHeadBytes = 256
    limits.maximumRequestLineBytes = 64
    limits.maximumStatusLineBytes = 64
    limits.maximumFields = 8
    limits.maximumChunkLineBytes = 32
    limits.maximumChunkExtensionBytes = 48
    limits.maximumTrailerBytes = 64
  }
  let whole = trace(input, role, requestMethod, limits, piece: input.count)
  let bytewise = trace(input, role, requestMethod, limits, piece: 1)
  let pieces = trace(input, role, requestMethod, limits, piece: Int(seed >> 3) + 2)
  precondition(whole == bytewise, "the events differ when bytes come one by one")
  precondition(whole == pieces, "the events differ when the input comes in pieces")
}

/// What is reported of `input` that comes in pieces of `piece` bytes.
private func trace(
  _ input: UnsafeRawBufferPointer, _ role: HTTP1Decoder.Role, _ method: Method, _ limits: HTTP1Limits, piece: Int
) -> [UInt8] {
  var decoder = HTTP1Decoder(role: role, limits: limits)
  decoder.expectResponse(to: method)
  var trace = Trace(role: role, method: method)
  var (start, end) = (0, 0)
  while end < input.count, !trace.hasFailed {
    end = min(end + piece, input.count)
    var needsMore = false
    while !needsMore, !trace.hasFailed {
      let window = UnsafeRawBufferPointer(rebasing: input[start..<end])
      let (event, consumed) = decoder.next(window, head: trace.head, trailers: trace.trailers)
      precondition(consumed >= 0 && consumed <= window.count, "consumed what is not there")
      start += consumed
      if case .needMore = event { needsMore = true } else { trace.note(event) }
    }
  }
  trace.noteEnd(decoder.endOfInput())
  return trace.out
}

/// All that was reported, as bytes: a mark per event, heads with every field, content joined.
private struct Trace {
  let role: HTTP1Decoder.Role
  let method: Method
  let head = MessageHead()
  let trailers = MessageHead()
  private let reencoded = ByteQueue(pool: BlockPool())
  private(set) var out: [UInt8] = []
  private(set) var hasFailed = false
  private var isInBody = false

  init(role: HTTP1Decoder.Role, method: Method) {
    self.role = role
    self.method = method
  }

  mutating func note(_ event: HTTP1Decoder.Event) {
    if case .body(let bytes) = event {
      if !isInBody { out.append(4) }
      isInBody = true
      out += bytes
      return
    }
    isInBody = false
    switch event {
    case .needMore, .body: break
    case .head(let result):
      out.append(2)
      out += Array("\(result)".utf8)
      if result.offersHTTP2, let settings = head.upgradeSettings {
        precondition(settings.count % 6 == 0, "settings of an upgrade that are no settings")
        out += settings
      }
      describe(head, into: &out)
      write(head, result, role, method, into: reencoded)
    case .informational:
      out.append(3)
      describe(head, into: &out)
    case .trailers:
      out.append(5)
      describe(trailers, into: &out)
    case .end: out.append(6)
    case .failure(let error): fail(error)
    }
  }

  mutating func noteEnd(_ event: HTTP1Decoder.Event) {
    switch event {
    case .end: out.append(7)
    case .failure(let error): fail(error)
    default: out.append(8)
    }
  }

  private mutating func fail(_ error: HTTP1Error) {
    out += Array("!\(error.counter)".utf8)
    hasFailed = true
  }
}

private func describe(_ head: MessageHead, into out: inout [UInt8]) {
  out += head.bytes(head.methodBytes)
  out += head.bytes(head.scheme)
  out += head.bytes(head.authority)
  out += head.bytes(head.path)
  out += Array("\(head.method) \(head.status) \(head.version)".utf8)
  for field in head.fields {
    out.append(field.isRemoved ? 0x2D : 0x2B)
    out += head.bytes(field.name)
    out.append(0x3D)
    out += head.bytes(field.value)
    out.append(0x0A)
  }
}

/// A head that was accepted can be written again, and what is written is accepted with the same framing.
private func write(
  _ head: MessageHead, _ result: HTTP1Head, _ role: HTTP1Decoder.Role, _ method: Method, into queue: ByteQueue
) {
  queue.removeAll()
  var limits = HTTP1Limits()
  limits.maximumFields = 200
  limits.maximumRequestLineBytes = 1 << 20
  limits.maximumHeadBytes = 1 << 20
  var decoder = HTTP1Decoder(role: role, limits: limits)
  decoder.expectResponse(to: method)
  if role == .request {
    HTTP1Encoder.request(
      head, framing: result.framing, keepAlive: result.keepAlive, upgrade: result.isUpgrade,
      form: head.method == .connect ? .authority : head.scheme.isEmpty ? .origin : .absolute, into: queue)
  } else {
    HTTP1Encoder.response(
      head, framing: result.framing, version: .http11, keepAlive: result.keepAlive, upgrade: result.isUpgrade,
      requestMethod: method, into: queue)
  }
  let copy = MessageHead()
  let (event, consumed) = decoder.next(queue.readable, head: copy, trailers: copy)
  guard case .head(let again) = event else { preconditionFailure("a head that was written is refused: \(event)") }
  precondition(consumed == queue.count, "a head that was written has bytes left over")
  let isSame = again.framing == result.framing || again.framing.isEmpty && result.framing.isEmpty
  precondition(isSame, "a head that was written frames its content otherwise")
}
