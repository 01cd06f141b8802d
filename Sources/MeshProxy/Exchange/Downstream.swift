import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime

/// The side of an exchange that asked: hides the protocol of the connection the request came by.
enum Downstream {
  case none
  case http1(HTTP1ServerConnection)
  case http2(HTTP2ServerConnection, HTTP2StreamID)
  case raw(RawServerConnection)
  /// Nobody: the proxy itself asks.
  case check(EndpointCheck)
  case call(ServiceCall)

  /// Its connection can have many requests at once.
  var isMultiplexed: Bool { if case .http2 = self { true } else { false } }

  func sendInformational(_ head: MessageHead) {
    switch self {
    case .none, .raw, .check, .call: break
    case .http1(let connection): connection.sendInformational(head)
    case .http2(let connection, let stream): connection.sendInformational(head, on: stream)
    }
  }

  func sendHead(_ head: MessageHead, framing: BodyFraming, last: Bool, _ exchange: Exchange) {
    switch self {
    case .none: break
    case .http1(let connection): connection.sendHead(head, framing: framing, exchange)
    case .http2(let connection, let stream): connection.sendHead(head, on: stream, last: last, exchange)
    case .raw(let connection): connection.tunnelAnswered(head)
    case .check(let check): check.received(head)
    case .call(let call): call.received(head)
    }
  }

  /// Takes body bytes; returns how many were accepted. The rest must be offered again after `Exchange.downstreamWritable`.
  func send(_ bytes: UnsafeRawBufferPointer, last: Bool) -> Int {
    switch self {
    case .none: return bytes.count
    case .http1(let connection): return connection.send(bytes, last: last)
    case .http2(let connection, let stream): return connection.send(bytes, on: stream, last: last)
    case .raw(let connection): return connection.send(bytes, last: last)
    case .check(let check):
      check.receive(bytes)
      return bytes.count
    case .call(let call):
      call.receive(bytes)
      return bytes.count
    }
  }

  func finish(trailers: MessageHead?) {
    switch self {
    case .none, .check, .call: break
    case .http1(let connection): connection.finish(trailers: trailers)
    case .http2(let connection, let stream): connection.finish(trailers: trailers, on: stream)
    case .raw(let connection): connection.finish()
    }
  }

  /// Breaks off a response that has begun, so that the client cannot take it for complete.
  func abort() {
    switch self {
    case .none, .check, .call: break
    case .http1(let connection): connection.abort()
    case .http2(let connection, let stream): connection.abort(stream)
    case .raw(let connection): connection.abort()
    }
  }

  /// Ends a response before its end, after what was sent of it has gone out.
  func cut() {
    switch self {
    case .none, .check, .call: break
    case .http1(let connection): connection.close()
    case .http2(let connection, let stream): connection.abort(stream)
    case .raw(let connection): connection.abort()
    }
  }

  /// Tells exchanges of one connection from those of others.
  var connectionID: ObjectIdentifier? {
    switch self {
    case .none, .check, .call: nil
    case .http1(let connection): ObjectIdentifier(connection)
    case .http2(let connection, _): ObjectIdentifier(connection)
    case .raw(let connection): ObjectIdentifier(connection)
    }
  }

  /// Of the client.
  var peerAddress: SocketAddress? {
    switch self {
    case .none, .check, .call: nil
    case .http1(let connection): connection.connection.peerAddress
    case .http2(let connection, _): connection.connection.peerAddress
    case .raw(let connection): connection.connection.peerAddress
    }
  }

  /// The client's connection is encrypted.
  var isTLS: Bool {
    switch self {
    case .none, .raw, .check, .call: false
    case .http1(let connection): connection.connection.tls != nil
    case .http2(let connection, _): connection.connection.tls != nil
    }
  }

  /// More bytes wait in the connection's output than a reader keeps up with.
  var isCongested: Bool {
    switch self {
    case .none, .check, .call: false
    case .http1(let connection): connection.connection.isOverHighWatermark
    case .http2(let connection, _): connection.connection.isOverHighWatermark
    case .raw(let connection): connection.connection.isOverHighWatermark
    }
  }

  /// `count` body bytes of the request have left the proxy.
  func creditRequest(_ count: Int) {
    if case .http2(let connection, let stream) = self { connection.credit(count, on: stream) }
  }

  /// Stops the sender of the request. HTTP/2 senders stop by themselves when their window is used up.
  func pauseRequest() {
    switch self {
    case .none, .http2, .check, .call: break
    case .http1(let connection): connection.pause()
    case .raw(let connection): connection.connection.pauseReading()
    }
  }

  func resumeRequest() {
    switch self {
    case .none, .http2, .check, .call: break
    case .http1(let connection): connection.resume()
    case .raw(let connection): connection.connection.resumeReading()
    }
  }

  /// Serves the requests inside of an HTTP/1 CONNECT instead of passing its bytes on. False: it stays a tunnel.
  func endTunnelHere(_ service: ServicePort) -> Bool {
    guard case .http1(let connection) = self else { return false }
    connection.endTunnelHere(service)
    return true
  }

  func exchangeFinished(_ exchange: Exchange) {
    switch self {
    case .none: exchange.worker.recycle(exchange)
    case .http1(let connection): connection.exchangeFinished(exchange)
    case .http2(let connection, let stream): connection.exchangeFinished(exchange, on: stream)
    case .raw(let connection): connection.exchangeFinished(exchange)
    case .check(let check): check.finished(exchange)
    case .call(let call): call.finished(exchange)
    }
  }
}
