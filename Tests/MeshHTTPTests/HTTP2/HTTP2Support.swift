import MeshCore
import MeshHTTP

func head(_ lines: [String]) -> MessageHead {
  let head = MessageHead()
  for line in lines {
    let split = line.range(of: ": ")
    let value = String(line[split.upperBound...])
    switch String(line[..<split.lowerBound]) {
    case ":method":
      var text = value
      head.method = text.withUTF8 { Method(UnsafeRawBufferPointer($0)) }
      if head.method == .other { head.methodBytes = head.intern(string: value) }
    case ":path": head.path = head.intern(string: value)
    case ":scheme": head.scheme = head.intern(string: value)
    case ":authority": head.authority = head.intern(string: value)
    case ":status": head.status = UInt16(value) ?? 0
    case let name: head.append(name: name, value: value)
    }
  }
  return head
}

func lines(_ head: MessageHead) -> String {
  let start = head.status > 0 ? "\(head.status)" : "\(head.method) \(head.bytes(head.path).string)"
  let fields = head.fields.filter { !$0.isRemoved }
    .map { head.bytes($0.name).string + ": " + head.bytes($0.value).string }
  return ([start] + fields).joined(separator: "|")
}

var getHead: MessageHead { head([":method: GET", ":scheme: http", ":path: /a", ":authority: shop"]) }
var postHead: MessageHead { head([":method: POST", ":scheme: http", ":path: /a", ":authority: shop"]) }
var okHead: MessageHead { head([":status: 200", "content-type: text/plain"]) }

/// One end of a connection with its input queue and a log of what `next` reported.
final class Peer {
  let pool = BlockPool()
  let output: ByteQueue
  let input: ByteQueue
  let engine: HTTP2Connection
  var log: [String] = []
  /// Bytes seen per stream and the last thing heard of it.
  var received: [UInt32: [UInt8]] = [:]
  var ended: Set<UInt32> = []
  var isConsuming = true
  var onEvent: ((Peer, HTTP2Event) -> Void)?

  init(
    _ role: HTTP2Connection.Role, settings: HTTP2Settings = .init(), limits: HTTP2Limits = .init(),
    connectionWindow: Int = 16 << 20
  ) {
    output = ByteQueue(pool: pool)
    input = ByteQueue(pool: pool)
    engine = HTTP2Connection(
      role: role, settings: settings, limits: limits, connectionWindow: connectionWindow, output: output)
  }

  func feed(_ bytes: [UInt8]) {
    input.append(bytes)
    run()
  }

  func run() {
    while true {
      let (event, consumed) = engine.next(input.readable)
      if case .needMore = event {
        input.consume(consumed)
        return
      }
      note(event)
      onEvent?(self, event)
      input.consume(consumed)
    }
  }

  private func note(_ event: HTTP2Event) {
    switch event {
    case .needMore: break
    case .head(let id, let end):
      log.append("head \(id.rawValue) \(lines(engine.receivedHead))\(end ? " end" : "")")
      if end { ended.insert(id.rawValue) }
    case .informational(let id): log.append("informational \(id.rawValue) \(lines(engine.receivedHead))")
    case .data(let id, let bytes, let controlled, let end):
      received[id.rawValue, default: []].append(contentsOf: bytes)
      if isConsuming { engine.consumed(controlled, on: id) }
      if end {
        ended.insert(id.rawValue)
        log.append("end \(id.rawValue) after \(received[id.rawValue]?.count ?? 0)")
      }
    case .trailers(let id):
      ended.insert(id.rawValue)
      log.append("trailers \(id.rawValue) \(lines(engine.receivedHead))")
    case .reset(let id, let code, let isLocal):
      log.append("reset \(id.rawValue) \(code.rawValue)\(isLocal ? " local" : "")")
    case .writable(let id): log.append("writable \(id.rawValue)")
    case .goAway(let last, let code): log.append("goaway \(last.rawValue) \(code.rawValue)")
    case .settings: log.append("settings")
    case .pong(let opaque): log.append("pong \(opaque)")
    case .failure(let code, _): log.append("failure \(code.rawValue)")
    }
  }

  /// Everything written since the last call.
  func drain() -> [UInt8] {
    let bytes = [UInt8](output.readable)
    output.removeAll()
    engine.outputDrained()
    return bytes
  }
}

/// Moves bytes between two peers until both are silent.
func settle(_ a: Peer, _ b: Peer) {
  while !a.output.isEmpty || !b.output.isEmpty {
    b.feed(a.drain())
    a.feed(b.drain())
    a.run()
    b.run()
  }
}

func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
  let n = payload.count
  let start = [UInt8(n >> 16 & 255), UInt8(n >> 8 & 255), UInt8(n & 255), type, flags]
  return start + word(stream) + payload
}

func word(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
let emptySettings = frame(4, 0, 0)
/// GET http://a/ and POST as blocks of static indexes and one literal without indexing.
let getBlock = hex("82 86 84 0101 61")
let postBlock = hex("83 86 84 0101 61")

func literal(_ name: String, _ value: String) -> [UInt8] {
  [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
}
