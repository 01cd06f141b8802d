import MeshCore
import MeshHTTP
import MeshRuntime

/// The side of an exchange that answers: hides the protocol of the connection the request goes by.
enum Upstream {
  case none
  case http1(HTTP1ClientConnection)
  /// A stream of a multiplexed connection. The stream id is 0 while the exchange waits for the connection to open.
  case http2(HTTP2ClientConnection, HTTP2StreamID)
  case raw(RawClientConnection)

  func sendHead(_ exchange: Exchange, last: Bool) {
    switch self {
    case .none: break
    case .http1(let connection): connection.sendHead(exchange)
    case .http2(let connection, let stream): connection.sendHead(exchange, on: stream, last: last)
    case .raw(let connection): connection.answerTunnel(exchange)
    }
  }

  /// Takes body bytes; returns how many were accepted. The rest must be offered again after `Exchange.upstreamWritable`.
  func send(_ bytes: UnsafeRawBufferPointer, last: Bool) -> Int {
    switch self {
    // The upstream has answered and gone: nobody wants the rest of the request.
    case .none: bytes.count
    case .http1(let connection): connection.send(bytes, last: last)
    case .http2(let connection, let stream): connection.send(bytes, on: stream, last: last)
    case .raw(let connection): connection.send(bytes, last: last)
    }
  }

  func finish(trailers: MessageHead?) {
    switch self {
    case .none: break
    case .http1(let connection): connection.finish(trailers: trailers)
    case .http2(let connection, let stream): connection.finish(trailers: trailers, on: stream)
    case .raw(let connection): connection.finish()
    }
  }

  var isCongested: Bool {
    switch self {
    case .none: false
    case .http1(let connection): connection.connection.isOverHighWatermark
    case .http2(let connection, _): connection.connection.isOverHighWatermark
    case .raw(let connection): connection.connection.isOverHighWatermark
    }
  }

  /// What flushes have left in the output of the exchange's own connection, counted by the loop.
  var waitingOutput: Int {
    switch self {
    // Shared by streams, and bounded by its watermark.
    case .none, .http2: 0
    case .http1(let connection): connection.connection.waitingOutput
    case .raw(let connection): connection.connection.waitingOutput
    }
  }

  /// `count` body bytes of the response have left the proxy.
  func creditResponse(_ count: Int) {
    if case .http2(let connection, let stream) = self { connection.credit(count, on: stream) }
  }

  func pauseResponse() {
    switch self {
    case .none, .http2: break
    case .http1(let connection): connection.pause()
    case .raw(let connection): connection.connection.pauseReading()
    }
  }

  func resumeResponse() {
    switch self {
    case .none, .http2: break
    case .http1(let connection): connection.resume()
    case .raw(let connection): connection.connection.resumeReading()
    }
  }

  /// What comes from here on is for another exchange.
  func rebind(to exchange: Exchange) {
    switch self {
    case .none, .raw: break
    case .http1(let connection): connection.exchange = exchange
    case .http2(let connection, let stream): connection.rebind(stream, to: exchange)
    }
  }

  /// The exchange lets go. `complete`: both messages went through whole, so the connection may serve again.
  func release(_ exchange: Exchange, complete: Bool) {
    switch self {
    case .none: break
    case .http1(let connection): connection.release(complete: complete)
    case .http2(let connection, let stream): connection.release(exchange, stream, complete: complete)
    case .raw(let connection): connection.release(complete: complete)
    }
  }
}
