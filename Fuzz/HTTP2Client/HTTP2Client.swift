import MeshCore
import MeshHTTP

/// Whatever a server sends, whole or byte by byte, a client with open requests neither traps nor loses count of them.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP2Client(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  let whole = receive(input, pieces: max(count, 1))
  let cut = receive(input, pieces: 1)
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

private func receive(_ input: UnsafeRawBufferPointer, pieces: Int) -> Outcome {
  let pool = BlockPool()
  let output = ByteQueue(pool: pool)
  let queue = ByteQueue(pool: pool)
  let client = HTTP2Connection(role: .client, output: output)
  let request = MessageHead()
  request.path = request.intern("/path")
  for method in [Method.get, .head, .post, .connect] {
    request.method = method
    guard let id = client.openStream() else { break }
    client.sendHead(request, on: id, endStream: method != .post && method != .connect)
  }
  var outcome = Outcome()
  var at = 0
  while at < input.count {
    let size = min(pieces, input.count - at)
    queue.append(input.slice(at, size))
    at += size
    drain(client, queue, &outcome)
  }
  outcome.active = client.activeStreamCount
  precondition(outcome.active >= 0 && outcome.active <= 4)
  return outcome
}

private func drain(_ client: HTTP2Connection, _ queue: ByteQueue, _ outcome: inout Outcome) {
  while true {
    let (event, consumed) = client.next(queue.readable)
    switch event {
    case .needMore:
      queue.consume(consumed)
      return
    case .head, .trailers, .informational: outcome.heads += 1
    case .data(let id, let bytes, let controlled, _):
      outcome.bytes += bytes.reduce(0) { $0 &+ Int($1) }
      client.consumed(controlled, on: id)
    case .reset: outcome.resets += 1
    case .failure: outcome.failures += 1
    default: break
    }
    queue.consume(consumed)
  }
}
