import MeshCore
import MeshHTTP
import Testing

/// RFC 9113 from section 3 to section 8, requirement by requirement: scope, code, and that no cut of the bytes matters.
@Suite struct HTTP2RequirementTests {
  @Test("section 4: frames and field blocks", arguments: HTTP2FrameRequirements.frames)
  func frames(_ requirement: HTTP2Requirement) { requirement.verify() }

  @Test("a field block is not interrupted", arguments: HTTP2FrameRequirements.interruptions)
  func interruptions(_ requirement: HTTP2Requirement) { requirement.verify() }

  @Test("section 5: stream states, ids and priorities", arguments: HTTP2FrameRequirements.states)
  func states(_ requirement: HTTP2Requirement) { requirement.verify() }

  @Test("section 6: frames of streams", arguments: HTTP2DefinitionRequirements.content)
  func content(_ requirement: HTTP2Requirement) { requirement.verify() }

  @Test("sections 6 and 7: frames of the connection", arguments: HTTP2DefinitionRequirements.control)
  func control(_ requirement: HTTP2Requirement) { requirement.verify() }

  @Test("section 8.1: content and trailers", arguments: HTTP2MessageRequirements.exchanges)
  func exchanges(_ requirement: HTTP2Requirement) { requirement.verify() }

  @Test("section 8.2.1: no byte that could end or split a field", arguments: HTTP2MessageRequirements.bytes)
  func bytes(_ requirement: HTTP2Requirement) { requirement.verify() }

  @Test("section 8.2: fields", arguments: HTTP2MessageRequirements.fields)
  func fields(_ requirement: HTTP2Requirement) { requirement.verify() }

  @Test("sections 8.3 and 8.5: pseudo-header fields", arguments: HTTP2MessageRequirements.pseudo)
  func pseudo(_ requirement: HTTP2Requirement) { requirement.verify() }

  @Test("RFC 8441: extended CONNECT", arguments: HTTP2MessageRequirements.extendedConnect)
  func extendedConnect(_ requirement: HTTP2Requirement) {
    var requirement = requirement
    requirement.settings.enableConnectProtocol = true
    requirement.verify()
  }

  // MARK: - Section 3

  @Test("3.4: a preface that goes wrong at any byte ends the connection")
  func preface() {
    for place in 0..<MeshHTTPTests.preface.count {
      var wrong = MeshHTTPTests.preface
      wrong[place] ^= 1
      let server = Peer(.server)
      server.feed(wrong + emptySettings)
      #expect(server.log == ["failure 1"], "byte \(place)")
    }
  }

  @Test(
    "3.4: the first frame is SETTINGS and no acknowledgement",
    arguments: [frame(6, 0, 0, zeros(8)), frame(4, 1, 0), wholeGet, frame(0xBB, 0, 0), windowUpdate(0, 1)])
  func firstFrame(_ bytes: [UInt8]) {
    let server = Peer(.server)
    server.feed(MeshHTTPTests.preface + bytes)
    #expect(server.log == ["failure 1"])
  }

  @Test("3.4: the server says SETTINGS before it has read anything, and acknowledges the client's")
  func ownPreface() throws {
    let server = Peer(.server)
    #expect(WireFrame.all(server.drain()).first.map { [$0.type, $0.flags] } == [4, 0])
    server.feed(MeshHTTPTests.preface + emptySettings)
    #expect(WireFrame.all(server.drain()).map { [$0.type, $0.flags] } == [[4, 1]])
  }

  @Test("RFC 7540, 3.2: the request of an upgrade is stream 1, half closed, under the settings it came with")
  func upgrade() {
    let server = Peer(.server)
    _ = server.drain()
    let settings = [0, 4] + word(3)
    #expect(settings.withUnsafeBytes { server.engine.acceptUpgrade($0, method: .get) } == nil)
    let first = HTTP2StreamID(rawValue: 1)
    server.engine.sendHead(okHead, on: first, endStream: false)
    #expect(zeros(5).withUnsafeBytes { server.engine.sendData($0, on: first, endStream: true) } == 0)
    #expect(WireFrame.all(server.drain()).map(\.type) == [1], "no acknowledgement: 101 was it; no body yet")
    server.feed(MeshHTTPTests.preface + emptySettings)
    #expect(server.log == ["settings", "writable 1"])
    #expect(zeros(5).withUnsafeBytes { server.engine.sendData($0, on: first, endStream: true) } == 3)
    // Stream 1 is used up.
    server.feed(frame(0, 0, 1, [1]) + frame(1, 5, 3, getBlock))
    #expect(server.log.suffix(2) == ["reset 1 5 local", "head 3 get / end"])
  }

  @Test("RFC 7540, 3.2.1: settings of an upgrade are checked as a SETTINGS frame is")
  func upgradeSettings() {
    let server = Peer(.server)
    let settings = [0, 2] + word(2)
    let event = settings.withUnsafeBytes { server.engine.acceptUpgrade($0, method: .get) }
    if case .failure(let code, _)? = event { #expect(code == .protocolError) } else { Issue.record("no failure") }
    #expect(WireFrame.all(server.drain()).last?.type == 7)
  }

  // MARK: - Section 5

  @Test("5.1.2: a stream above the announced limit is refused, and one that ended makes room")
  func concurrency() {
    var settings = HTTP2Settings()
    settings.maximumConcurrentStreams = 2
    let server = Peer(.server, settings: settings)
    server.feed(MeshHTTPTests.preface + emptySettings)
    _ = server.drain()
    server.feed([1, 3, 5].flatMap { frame(1, 4, $0, postBlock) } + frame(0, 0, 5, [1]))
    let frames = WireFrame.all(server.drain())
    #expect(frames.map(\.type) == [3] && frames.map(\.stream) == [5] && frames.map(\.payload) == [word(7)])
    server.feed(resetFrame(1) + frame(1, 4, 7, postBlock))
    #expect(server.log.last == "head 7 post /")
  }

  // MARK: - Section 6

  @Test("6.6: a client refuses PUSH_PROMISE")
  func push() {
    let client = Peer(.client)
    client.feed(emptySettings + frame(5, 4, 1, word(2) + getBlock))
    #expect(client.log.last == "failure 1")
  }

  @Test("6.8: a connection error after a last GOAWAY does not raise its stream")
  func goAwayNeverRises() {
    let server = Peer(.server)
    server.feed(MeshHTTPTests.preface + emptySettings + wholeGet)
    _ = server.drain()
    server.engine.sendGoAway(.noError)
    server.feed(frame(1, 5, 3, getBlock) + frame(6, 0, 0))
    let last = WireFrame.all(server.drain()).filter { $0.type == 7 }.map { Array($0.payload[..<4]) }
    #expect(last == [word(1), word(1)])
    #expect(server.log.suffix(2) == ["head 1 get / end", "failure 6"], "a stream above it is not served")
  }

  @Test("6.9: padding is given back to both windows at once, content only when it was passed on")
  func padding() {
    var settings = HTTP2Settings()
    settings.initialWindowSize = 1000
    let server = Peer(.server, settings: settings, connectionWindow: 65535)
    server.isConsuming = false
    server.feed(MeshHTTPTests.preface + emptySettings + frame(4, 1, 0) + openPost)
    _ = server.drain()
    let padded = frame(0, 8, 1, [249] + zeros(250 - 249) + zeros(249))
    server.feed(padded + padded)
    // Twice 249 bytes of padding and its length: half of the stream's window.
    let updates = WireFrame.all(server.drain())
    #expect(updates.map(\.type) == [8] && updates.map(\.stream) == [1] && updates.map(\.payload) == [word(500)])
    server.engine.consumed(2, on: HTTP2StreamID(rawValue: 1))
    #expect(server.output.isEmpty)
  }

  @Test("6.9.1: a byte above a stream's window resets the stream")
  func streamWindow() {
    var settings = HTTP2Settings()
    settings.initialWindowSize = 100
    let server = Peer(.server, settings: settings)
    server.isConsuming = false
    server.feed(MeshHTTPTests.preface + emptySettings + frame(4, 1, 0) + openPost + frame(0, 0, 1, zeros(100)))
    #expect(server.log.last == "head 1 post /")
    server.feed(frame(0, 0, 1, [0]))
    #expect(server.log.last == "reset 1 3 local")
  }

  @Test("6.9.1: a byte above the connection's window ends the connection")
  func connectionWindow() {
    // The window is given back as bytes arrive, so only a frame larger than what is left can pass it.
    var settings = HTTP2Settings()
    settings.maximumFrameSize = 65536
    let server = Peer(.server, settings: settings, connectionWindow: 65535)
    server.feed(MeshHTTPTests.preface + emptySettings + frame(1, 4, 1, postBlock) + frame(0, 0, 1, zeros(65535)))
    #expect(server.log.last == "head 1 post /")
    server.feed(frame(0, 0, 1, zeros(65536)))
    #expect(server.log.last == "failure 3")
  }
}
