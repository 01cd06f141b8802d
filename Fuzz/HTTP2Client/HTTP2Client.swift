import MeshCore
import MeshHTTP

/// Whatever a server sends, whole or byte by byte, a client with open requests neither traps nor loses count of them, and
/// each request gets at most one answer: a head, then content, then an end, and nothing after it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP2Client(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  var whole = ClientRun()
  whole.receive(input, pieces: max(count, 1))
  var cut = ClientRun()
  cut.receive(input, pieces: 1)
  precondition(whole.outcome == cut.outcome, "the cut of the input changed the outcome")
  return 0
}

private struct Outcome: Equatable {
  /// What a request has got so far.
  struct Answer: Equatable {
    var status: UInt16 = 0
    var bytes = 0
    var isEnded = false
    var isReset = false
  }

  var answers: [UInt32: Answer] = [:]
  var sum = 0
  var failures = 0
  var active = 0
}

/// GET, HEAD, an upload that goes as the windows allow, and CONNECT, on one connection.
private struct ClientRun {
  private static let upload = [UInt8](repeating: 0x61, count: 100_000)

  private let client: HTTP2Connection
  private let output: ByteQueue
  private let queue: ByteQueue
  private var uploaded = 0
  private let uploading = HTTP2StreamID(rawValue: 5)
  private(set) var outcome = Outcome()

  init() {
    let pool = BlockPool()
    output = ByteQueue(pool: pool)
    queue = ByteQueue(pool: pool)
    client = HTTP2Connection(role: .client, output: output)
    let request = MessageHead()
    request.path = request.intern("/path")
    for method in [Method.get, .head, .post, .connect] {
      request.method = method
      guard let id = client.openStream() else { break }
      client.sendHead(request, on: id, endStream: method == .get || method == .head)
      outcome.answers[id.rawValue] = Outcome.Answer()
    }
    push()
  }

  mutating func receive(_ input: UnsafeRawBufferPointer, pieces: Int) {
    var at = 0
    while at < input.count {
      let size = min(pieces, input.count - at)
      queue.append(input.slice(at, size))
      at += size
      drain()
    }
    outcome.active = client.activeStreamCount
    precondition(outcome.active >= 0 && outcome.active <= 4)
    for answer in outcome.answers.values {
      precondition(!answer.isEnded || answer.status >= 200, "an answer without a head")
    }
  }

  private mutating func push() {
    let sent = Self.upload.withUnsafeBytes {
      client.sendData(.init(rebasing: $0[uploaded...]), on: uploading, endStream: true)
    }
    uploaded += sent
  }

  private mutating func drain() {
    while true {
      let (event, consumed) = client.next(queue.readable)
      handle(event)
      queue.consume(consumed)
      if case .needMore = event { return }
    }
  }

  private mutating func handle(_ event: HTTP2Event) {
    switch event {
    case .informational(let id):
      change(id) { precondition($0.status == 0, "an interim response after the final one") }
    case .head(let id, let ends):
      let status = client.receivedHead.status
      change(id) {
        precondition($0.status == 0 && status >= 200, "a second head")
        $0.status = status
        $0.isEnded = ends
      }
    case .data(let id, let bytes, let controlled, let ends):
      outcome.sum += bytes.reduce(0) { $0 &+ Int($1) }
      change(id) {
        precondition($0.status >= 200, "content before the head")
        precondition(bytes.isEmpty || $0.status != 204 && $0.status != 304 && id.rawValue != 3, "content of nothing")
        $0.bytes += bytes.count
        $0.isEnded = ends
      }
      client.consumed(controlled, on: id)
    case .trailers(let id):
      change(id) {
        precondition($0.status >= 200, "trailers before the head")
        $0.isEnded = true
      }
    case .reset(let id, _, _): outcome.answers[id.rawValue]?.isReset = true
    case .writable(let id) where id == uploading: push()
    case .failure: outcome.failures += 1
    default: break
    }
  }

  private mutating func change(_ id: HTTP2StreamID, _ body: (inout Outcome.Answer) -> Void) {
    precondition(outcome.answers[id.rawValue] != nil, "a stream that nobody opened")
    precondition(outcome.answers[id.rawValue]?.isEnded == false, "more after the end")
    precondition(outcome.answers[id.rawValue]?.isReset == false, "more after the reset")
    body(&outcome.answers[id.rawValue, default: .init()])
  }
}
