import MeshHTTP

/// The request that a server's HTTP/1 connection serves: how its answer is framed, and whether another request may follow.
///
/// Pure; message and body are the exchange's.
struct ServedRequest {
  private(set) var method = Method.get
  private(set) var version = MessageHead.Version.http11
  private(set) var hasBody = false
  /// Bytes of the body that are still to come. A chunked body never counts down to zero; its end comes by itself.
  private(set) var remaining: UInt64 = 0
  private(set) var isUpgrade = false
  private(set) var responseIsChunked = false
  /// The body is decoded to its end.
  var isRead = true
  /// Another request may follow on the connection.
  var keepAlive = true

  /// It asks for a tunnel, and nobody has said no.
  var asksForTunnel: Bool { isUpgrade || method == .connect }

  mutating func begin(_ message: MessageHead, _ head: HTTP1Head, mayKeepAlive: Bool) {
    method = message.method
    version = message.version
    keepAlive = head.keepAlive && mayKeepAlive
    hasBody = head.framing != .none && head.framing != .length(0)
    if case .length(let length) = head.framing { remaining = length } else { remaining = .max }
    // An upgrade with a body could not tell the body from the new protocol's bytes: it goes on as a plain request.
    isUpgrade = head.isUpgrade && !hasBody
    isRead = false
  }

  /// True when that was the last of a body whose length is known.
  mutating func tookBody(_ count: Int) -> Bool {
    remaining &-= UInt64(count)
    return remaining == 0
  }

  /// How the answer's body is framed for this client, given how it is known here.
  mutating func frameResponse(_ known: BodyFraming, isTunnel: Bool) -> BodyFraming {
    // What follows a refused CONNECT was meant for the tunnel and is no request.
    if method == .connect, !isTunnel { keepAlive = false }
    var framing = known
    if isTunnel {
      framing = .tunnel
    } else if known == .untilClose || known == .chunked {
      if version == .http10 {
        framing = .untilClose
        keepAlive = false
      } else {
        framing = .chunked
      }
    }
    responseIsChunked = framing == .chunked
    return framing
  }

  /// The answer was an ordinary one.
  mutating func tunnelRefused() {
    isUpgrade = false
    isRead = true
  }
}
