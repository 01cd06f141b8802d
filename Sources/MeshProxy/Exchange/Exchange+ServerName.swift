import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// A tunnel whose rule goes by the server that its client asks for in TLS. Only services with such rules come here: the bytes
// of all others are not looked at.
extension Exchange {
  /// Waits for the client's greeting. What it sends is kept for the server, as it is for every tunnel that is not open yet.
  func awaitServerName() {
    // Behind an HTTP/2 CONNECT the client says nothing before it has an answer, which needs the server that it will name.
    guard case .raw = downstream else { return fail(.serverNameBehindConnect) }
    phase = .greeting
    attemptEnd = worker.loop.now + worker.limits.clientHelloTimeout
    armTimer()
    readServerName()
  }

  /// Looks at what has come.
  func readServerName() {
    switch ClientHello.parse(requestBuffer.readable, limit: worker.limits.maximumClientHelloBytes) {
    case .incomplete: if requestEnded { fail(requestBuffer.isEmpty ? .noGreeting : .malformedGreeting) }
    case .complete(let name): follow(name)
    case .notTLS: fail(.notTLS)
    case .malformed: fail(.malformedGreeting)
    case .tooLong:
      worker.metrics.limitHit("client_hello_bytes")
      fail(.malformedGreeting)
    }
  }

  func greetingTimedOut() {
    worker.metrics.limitHit("client_hello_timeout")
    fail(.noGreeting)
  }

  private func follow(_ name: String?) {
    phase = .resolving
    endWait()
    // For the log, where a request has its host.
    if let name { request.authority = request.intern(string: name) }
    worker.router.route(self, toServer: name)
  }
}
