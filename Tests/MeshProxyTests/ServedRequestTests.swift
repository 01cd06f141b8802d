import MeshCore
import MeshHTTP
import Testing

@testable import MeshProxy

@Suite("The request that an HTTP/1 connection serves")
struct ServedRequestTests {
  private static func request(
    _ method: MeshHTTP.Method = .get, _ version: MessageHead.Version = .http11, framing: BodyFraming = .none,
    isUpgrade: Bool = false, mayKeepAlive: Bool = true
  ) -> ServedRequest {
    let message = MessageHead()
    message.method = method
    message.version = version
    var head = HTTP1Head()
    head.framing = framing
    head.isUpgrade = isUpgrade
    var request = ServedRequest()
    request.begin(message, head, mayKeepAlive: mayKeepAlive)
    return request
  }

  @Test("an answer of unknown length is chunked for HTTP/1.1, and ends the connection of HTTP/1.0")
  func unknownLength() {
    for known in [BodyFraming.chunked, .untilClose] {
      var new = Self.request()
      let toNew = new.frameResponse(known, isTunnel: false)
      #expect(toNew == .chunked)
      #expect(new.responseIsChunked && new.keepAlive)
      var old = Self.request(.get, .http10)
      let toOld = old.frameResponse(known, isTunnel: false)
      #expect(toOld == .untilClose)
      #expect(!old.responseIsChunked && !old.keepAlive)
    }
  }

  @Test("a known length goes to every version as it is, and another request may follow")
  func knownLength() {
    for version in [MessageHead.Version.http10, .http11] {
      var request = Self.request(.get, version)
      let framing = request.frameResponse(.length(5), isTunnel: false)
      #expect(framing == .length(5))
      #expect(request.keepAlive && !request.responseIsChunked)
    }
  }

  @Test("after a refused CONNECT nothing that follows is taken for a request")
  func refusedConnect() {
    var request = Self.request(.connect)
    #expect(request.asksForTunnel)
    _ = request.frameResponse(.length(0), isTunnel: false)
    #expect(!request.keepAlive)
    request.tunnelRefused()
    #expect(request.isRead)
    var accepted = Self.request(.connect)
    let framing = accepted.frameResponse(.none, isTunnel: true)
    #expect(framing == .tunnel)
    #expect(accepted.keepAlive)
  }

  @Test("an upgrade that is answered as a plain request lets the next request follow")
  func refusedUpgrade() {
    var request = Self.request(isUpgrade: true)
    #expect(request.asksForTunnel && !request.isRead)
    let framing = request.frameResponse(.length(2), isTunnel: false)
    #expect(framing == .length(2))
    request.tunnelRefused()
    #expect(!request.asksForTunnel && request.isRead && request.keepAlive)
  }

  @Test("an upgrade with a body is a plain request", arguments: [BodyFraming.length(3), .chunked])
  func upgradeWithBody(_ framing: BodyFraming) {
    let request = Self.request(.post, framing: framing, isUpgrade: true)
    #expect(request.hasBody && !request.asksForTunnel)
  }

  @Test("a body of known length tells its last bytes, a chunked one does not")
  func lastBytes() {
    var known = Self.request(.post, framing: .length(5))
    let (first, last) = (known.tookBody(4), known.tookBody(1))
    #expect(!first && last)
    var chunked = Self.request(.post, framing: .chunked)
    let isOver = chunked.tookBody(1 << 30)
    #expect(!isOver)
    #expect(!Self.request(.post, framing: .length(0)).hasBody)
  }

  @Test("a draining proxy keeps no connection")
  func draining() { #expect(!Self.request(mayKeepAlive: false).keepAlive) }
}

@Suite("How long a client of HTTP/1 is waited for")
struct ClientWaitTests {
  private static let limits = ProxyLimits.with {
    $0.headerTimeout = .seconds(10)
    $0.downstreamIdleTimeout = .seconds(60)
  }

  private static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

  private static func verdict(_ wait: ClientWait, _ seconds: Int64, isDraining: Bool = false) -> String {
    switch wait.verdict(at(seconds), limits, isDraining: isDraining) {
    case .wait(let left): "wait \(Int(left.inSeconds))"
    case .headTimeout: "head"
    case .idleTimeout: "idle"
    case .drained: "drained"
    }
  }

  @Test("the first head is owed from the connection's start, draining or not")
  func firstHead() {
    let wait = ClientWait(now: Self.at(0))
    #expect(wait.isForHead)
    #expect(Self.verdict(wait, 4) == "wait 6")
    #expect(Self.verdict(wait, 4, isDraining: true) == "wait 6")
    #expect(Self.verdict(wait, 10) == "head")
  }

  @Test("between requests the client may be idle from the last answer on; a drain ends that at once")
  func idle() {
    var wait = ClientWait(now: Self.at(0))
    wait.headArrived()
    wait.answered(Self.at(5))
    #expect(!wait.isForHead)
    #expect(Self.verdict(wait, 64) == "wait 1")
    #expect(Self.verdict(wait, 64, isDraining: true) == "drained")
    #expect(Self.verdict(wait, 65) == "idle")
  }

  @Test("a later head has its own time, from its first byte")
  func laterHead() {
    var wait = ClientWait(now: Self.at(0))
    wait.headArrived()
    wait.answered(Self.at(5))
    wait.headBegan(Self.at(60))
    #expect(Self.verdict(wait, 65) == "wait 5")
    #expect(Self.verdict(wait, 70) == "head")
  }
}
