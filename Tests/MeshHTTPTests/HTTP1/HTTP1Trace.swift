import MeshCore
import MeshHTTP

/// Runs a decoder over bytes in given pieces and writes down what it reports, with adjoining content joined.
struct HTTP1Trace: Equatable {
  /// One short word per event, as the vector tables write them.
  var events: [String] = []
  /// The same with every field, for comparing runs.
  var details: [String] = []
  var decoder: HTTP1Decoder

  init(
    _ bytes: [UInt8], role: HTTP1Decoder.Role, requestMethod: Method = .get, closes: Bool = false,
    limits: HTTP1Limits = .init(), cuts: some Collection<Int> = []
  ) {
    decoder = HTTP1Decoder(role: role, limits: limits)
    decoder.expectResponse(to: requestMethod)
    let queue = ByteQueue(pool: BlockPool())
    let head = MessageHead()
    let trailers = MessageHead()
    var fed = 0
    for cut in Array(cuts) + [bytes.count] {
      queue.append(Array(bytes[fed..<cut]))
      fed = cut
      drain(queue, head, trailers)
    }
    if closes { record(decoder.endOfInput(), head, trailers) }
  }

  static func == (a: HTTP1Trace, b: HTTP1Trace) -> Bool { a.events == b.events && a.details == b.details }

  private mutating func drain(_ queue: ByteQueue, _ head: MessageHead, _ trailers: MessageHead) {
    while true {
      let (event, consumed) = decoder.next(queue.readable, head: head, trailers: trailers)
      record(event, head, trailers)
      queue.consume(consumed)
      switch event {
      case .needMore, .failure: return
      default: continue
      }
    }
  }

  private mutating func record(_ event: HTTP1Decoder.Event, _ head: MessageHead, _ trailers: MessageHead) {
    switch event {
    case .needMore:
      return
    case .head(let result):
      events.append(Self.summary(head, result))
      details += Self.lines(head)
    case .informational:
      events.append("\(head.status) informational")
      details += Self.lines(head)
    case .body(let bytes):
      if let last = events.last, last.hasPrefix("body ") {
        events[events.count - 1] = last + bytes.string
      } else {
        events.append("body " + bytes.string)
      }
    case .trailers:
      events.append("trailers " + Self.lines(trailers).joined(separator: ";"))
    case .end:
      events.append("end")
    case .failure(let error):
      if events.last != "! \(error.counter)" { events.append("! \(error.counter)") }
    }
  }

  private static func summary(_ head: MessageHead, _ result: HTTP1Head) -> String {
    var words: [String] = []
    if head.status == 0 {
      words.append(head.method == .other ? head.bytes(head.methodBytes).string : "\(head.method.name)")
      if !head.scheme.isEmpty { words.append(head.bytes(head.scheme).string + ":") }
      words.append(head.bytes(head.path).string)
      words.append("@" + head.bytes(head.authority).string)
    } else {
      words.append("\(head.status)")
    }
    if head.version == .http10 { words.append("1.0") }
    words.append("\(result.framing)")
    if !result.keepAlive { words.append("close") }
    if result.expectsContinue { words.append("expect") }
    if result.isUpgrade { words.append("upgrade") }
    return words.joined(separator: " ")
  }

  /// Live fields as `name=value`.
  static func lines(_ head: MessageHead) -> [String] {
    head.fields.filter { !$0.isRemoved }.map { head.bytes($0.name).string + "=" + head.bytes($0.value).string }
  }
}
