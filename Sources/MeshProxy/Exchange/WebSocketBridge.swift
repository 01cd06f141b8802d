import MeshCore
import MeshHTTP
import MeshRuntime

/// The opening handshake of WebSocket where it changes between HTTP/1 and HTTP/2 (RFC 6455, section 4; RFC 8441, section 5).
///
/// HTTP/1 proves with `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` that the server speaks WebSocket; HTTP/2 has
/// `:protocol` for it and neither field. Between two proxies of the mesh the fields of an HTTP/1 client travel along.
enum WebSocketBridge {
  private static let key: StaticString = "sec-websocket-key"
  private static let accept: StaticString = "sec-websocket-accept"

  /// The request goes to an HTTP/1 application: the key that an HTTP/2 client does not send is made here.
  static func prepareHTTP1(_ exchange: Exchange) {
    let request = exchange.request
    guard isWebSocket(request), request.value(named: key.bytes) == nil else { return }
    if exchange.webSocketKey.isEmpty {
      exchange.webSocketKey = request.intern(string: WebSocketKey.random(&exchange.worker.loop.random))
    }
    request.append(name: key.bytes, value: request.bytes(exchange.webSocketKey))
  }

  /// The request goes to an HTTP/2 application, which knows no key: its proof is given here (`answerKey`).
  static func prepareHTTP2(_ exchange: Exchange) {
    let request = exchange.request
    guard isWebSocket(request), let value = request.value(named: key.bytes) else { return }
    exchange.webSocketKey = request.intern(value)
    request.remove(named: key.bytes)
  }

  /// An HTTP/2 application accepted: the HTTP/1 client waits for the proof.
  static func answerKey(_ head: MessageHead, _ exchange: Exchange) {
    guard !exchange.webSocketKey.isEmpty else { return }
    let proof = head.intern(string: WebSocketKey.accept(for: exchange.request.bytes(exchange.webSocketKey)))
    head.remove(named: accept.bytes)
    head.append(name: accept.bytes, value: head.bytes(proof))
  }

  /// An HTTP/1 application accepted. Its proof for a key of ours is checked here and goes no further.
  static func isAccepted(_ head: MessageHead, _ exchange: Exchange) -> Bool {
    guard !exchange.webSocketKey.isEmpty else { return true }
    var proof = WebSocketKey.accept(for: exchange.request.bytes(exchange.webSocketKey))
    let isProven = proof.withUTF8 { head.value(named: accept.bytes)?.equals(UnsafeRawBufferPointer($0)) } ?? false
    head.remove(named: accept.bytes)
    return isProven
  }

  private static func isWebSocket(_ request: MessageHead) -> Bool {
    request.value(.upgrade)?.equalsIgnoringCase("websocket") == true
  }
}

extension StaticString {
  fileprivate var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}
