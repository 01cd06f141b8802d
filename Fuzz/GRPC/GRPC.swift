import MeshCore
import MeshHTTP

/// The messages of a stream are the same whether it comes whole or byte by byte, and each survives being framed again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGRPC(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  let whole = messages(input, pieces: max(count, 1))
  let cut = messages(input, pieces: 1)
  precondition(
    whole.messages == cut.messages && whole.failure == cut.failure, "the cut of the input changed the outcome")
  let framed = ByteQueue(pool: BlockPool())
  for message in whole.messages { GRPCFraming.append(message, to: framed) }
  precondition(
    messages(framed.readable, pieces: max(framed.readable.count, 1)).messages == whole.messages, "another message")
  return 0
}

private func messages(
  _ input: UnsafeRawBufferPointer, pieces: Int
) -> (messages: [[UInt8]], failure: GRPCFraming.Failure?) {
  let queue = ByteQueue(pool: BlockPool())
  var messages: [[UInt8]] = []
  var at = 0
  while at < input.count {
    let size = min(pieces, input.count - at)
    queue.append(input.slice(at, size))
    at += size
    do throws(GRPCFraming.Failure) {
      while let message = try GRPCFraming.next(queue, maximumMessageBytes: 256) { messages.append(message) }
    } catch {
      return (messages, error)
    }
  }
  return (messages, nil)
}
