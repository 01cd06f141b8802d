import MeshCore
import MeshHTTP

/// Whatever a client sends, whole or byte by byte, a server neither traps nor grows beyond its limits, and both ways of
/// cutting the input end in the same state. Requests are answered, so that the sending side runs as well. An input that
/// begins with byte 1 is an upgraded connection (RFC 7540, section 3.2): a number of settings, the settings, the rest.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP2Server(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  let whole = serve(input, pieces: max(count, 1))
  let cut = serve(input, pieces: 1)
  precondition(whole == cut, "the cut of the input changed the outcome")
  return 0
}

private struct Outcome: Equatable {
  var heads = 0
  var bytes = 0
  var resets = 0
  var failures = 0
  var active = 0
}

private func serve(_ input: UnsafeRawBufferPointer, pieces: Int) -> Outcome {
  let pool = BlockPool()
  let output = ByteQueue(pool: pool)
  let queue = ByteQueue(pool: pool)
  var settings = HTTP2Settings()
  settings.enableConnectProtocol = true
  let server = HTTP2Connection(role: .server, settings: settings, output: output)
  let response = MessageHead()
  response.status = 200
  response.append(name: "x-name", value: "value")
  var outcome = Outcome()
  var at = 0
  if input.count > 1, input[0] == 1 {
    let size = min(Int(input[1] % 4) * 6, (input.count - 2) / 6 * 6)
    at = 2 + size
    if server.acceptUpgrade(input.slice(2, size), method: .get) != nil { outcome.failures += 1 }
    server.sendHead(response, on: HTTP2StreamID(rawValue: 1), endStream: true)
  }
  while at < input.count {
    let size = min(pieces, input.count - at)
    queue.append(input.slice(at, size))
    at += size
    drain(server, queue, response, &outcome)
  }
  outcome.active = server.activeStreamCount
  precondition(outcome.active <= 1024)
  return outcome
}

private func drain(_ server: HTTP2Connection, _ queue: ByteQueue, _ response: MessageHead, _ outcome: inout Outcome) {
  while true {
    let (event, consumed) = server.next(queue.readable)
    switch event {
    case .needMore:
      queue.consume(consumed)
      return
    case .head(let id, _):
      outcome.heads += 1
      // The streams of a connection that is going away are read and not served.
      if outcome.heads == 20 { server.sendGoAway(.noError) }
      server.sendHead(response, on: id, endStream: false)
      "body".utf8.withContiguousStorageIfAvailable {
        _ = server.sendData(UnsafeRawBufferPointer($0), on: id, endStream: true)
      }
    case .data(let id, let bytes, let controlled, _):
      outcome.bytes += bytes.reduce(1) { $0 &+ Int($1) } - 1
      server.consumed(controlled, on: id)
    case .writable(let id): _ = server.sendData(UnsafeRawBufferPointer(start: nil, count: 0), on: id, endStream: true)
    case .reset: outcome.resets += 1
    case .failure: outcome.failures += 1
    default: break
    }
    queue.consume(consumed)
  }
}
