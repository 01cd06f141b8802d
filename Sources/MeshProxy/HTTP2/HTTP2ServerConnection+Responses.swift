import MeshCore
import MeshHTTP
import MeshRuntime

// What an exchange sends to its client, and lets the client send. The engine frames it; the connection is flushed at the end of the loop's turn.
extension HTTP2ServerConnection {
  func credit(_ count: Int, on stream: HTTP2StreamID) {
    engine.consumed(count, on: stream)
    connection.flushSoon()
  }

  func sendInformational(_ head: MessageHead, on stream: HTTP2StreamID) {
    engine.sendHead(head, on: stream, endStream: false)
    connection.flushSoon()
  }

  func sendHead(_ head: MessageHead, on stream: HTTP2StreamID, last: Bool, _ exchange: Exchange) {
    if exchange.isTunnel, head.status == 101 {
      head.status = 200
      head.remove(.upgrade)
    }
    head.removeHopByHopFields(keepingTrailersTE: false)
    if exchange.isExtendedConnect, !exchange.isTunnel, head.status < 300 { markRefusedUpgrade(head) }
    engine.sendHead(head, on: stream, endStream: last)
    connection.flushSoon()
  }

  /// The application answered an upgrade as a plain request. Its 2xx must not read as "accepted".
  private func markRefusedUpgrade(_ head: MessageHead) {
    if isMeshPeer {
      head.append(.xApusUpgrade, "refused")
    } else {
      head.status = 501
    }
  }

  func send(_ bytes: UnsafeRawBufferPointer, on stream: HTTP2StreamID, last: Bool) -> Int {
    let accepted = engine.sendData(bytes, on: stream, endStream: last)
    connection.flushSoon()
    return accepted
  }

  func finish(trailers: MessageHead?, on stream: HTTP2StreamID) {
    engine.finish(stream, trailers: trailers)
    connection.flushSoon()
  }

  func abort(_ stream: HTTP2StreamID) {
    engine.sendReset(stream, .internalError)
    connection.flushSoon()
  }
}
