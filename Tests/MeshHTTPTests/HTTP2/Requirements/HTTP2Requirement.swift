import MeshCore
import MeshHTTP
import Testing

/// One requirement of RFC 9113: what a client sends once the connection stands, and what the server must make of it.
struct HTTP2Requirement: CustomTestStringConvertible, Sendable {
  enum Outcome: Sendable {
    /// One GOAWAY with the code and the last stream that was or might be processed; nothing follows.
    case connectionError(HTTP2ErrorCode, last: UInt32)
    /// One RST_STREAM with the code; the connection lives.
    case streamError(HTTP2ErrorCode, UInt32)
    /// Just these events, and the connection lives.
    case accepted([String])
    /// Just these events, stream errors among them, and the connection lives.
    case survived([String])
  }

  var testDescription: String
  var bytes: [UInt8]
  var outcome: Outcome
  /// Whole requests are answered at once, which ends their streams.
  var answers = false
  var settings = HTTP2Settings()

  init(_ title: String, _ frames: [UInt8]..., answers: Bool = false, gives outcome: Outcome) {
    testDescription = title
    bytes = frames.flatMap { $0 }
    self.answers = answers
    self.outcome = outcome
  }

  // MARK: - Running

  /// What a server did with the bytes, cut at `cuts`.
  private func run(cuts: [Int]) -> Peer {
    let server = Peer(.server, settings: settings)
    server.feed(preface + emptySettings)
    _ = server.drain()
    server.log = []
    if answers {
      server.onEvent = { peer, event in
        if case .head(let id, endStream: true) = event { peer.engine.sendHead(okHead, on: id, endStream: true) }
      }
    }
    var from = 0
    for cut in cuts + [bytes.count] {
      server.feed(Array(bytes[from..<cut]))
      from = cut
    }
    return server
  }

  /// Checks the outcome for the bytes in one piece, and that no way of cutting them changes anything.
  func verify() {
    let whole = run(cuts: [])
    let output = [UInt8](whole.output.readable)
    let (log, received) = (whole.log, whole.received)
    check(whole)
    for cuts in allCuts {
      let cut = run(cuts: cuts)
      #expect(
        cut.log == log && cut.received == received && cut.drain() == output, "cut at \(cuts.prefix(3)): \(cut.log)")
    }
  }

  /// Every byte, and byte by byte; large inputs at each end and around their middle.
  private var allCuts: [[Int]] {
    let count = bytes.count
    guard count > 600 else { return (1..<count).map { [$0] } + [Array(1..<count)] }
    let places = Array(1...40) + [count / 2] + Array(count - 40..<count)
    return places.map { [$0] } + [places]
  }

  private func check(_ server: Peer) {
    let frames = WireFrame.all(server.drain())
    let resets = frames.filter { $0.type == 3 }
    let farewells = frames.filter { $0.type == 7 }
    switch outcome {
    case .connectionError(let code, let last):
      #expect(farewells.count == 1 && frames.last?.type == 7, "\(frames)")
      #expect(farewells.first?.payload == word(last) + word(code.rawValue))
      #expect(server.log.last == "failure \(code.rawValue)", "\(server.log)")
      server.feed(frame(1, 5, 99, getBlock))
      #expect(server.output.isEmpty && server.log.last == "failure \(code.rawValue)", "nothing goes on")
    case .streamError(let code, let stream):
      #expect(resets.map(\.stream) == [stream] && resets.map(\.payload) == [word(code.rawValue)], "\(frames)")
      #expect(farewells.isEmpty)
      #expect(server.log.last == "reset \(stream) \(code.rawValue) local", "\(server.log)")
      lives(server)
    case .accepted(let events):
      #expect(server.log == events)
      #expect(resets.isEmpty && farewells.isEmpty, "\(frames)")
      lives(server)
    case .survived(let events):
      #expect(server.log == events)
      #expect(resets.count == events.count { $0.hasSuffix(" local") } && farewells.isEmpty, "\(frames)")
      lives(server)
    }
  }

  private func lives(_ server: Peer) {
    server.feed(frame(1, 5, 99, getBlock))
    #expect(server.log.last == "head 99 get / end", "the connection goes on")
  }
}

/// A frame as it stands on the wire.
struct WireFrame {
  var type: UInt8
  var flags: UInt8
  var stream: UInt32
  var payload: [UInt8]

  static func all(_ bytes: [UInt8]) -> [WireFrame] {
    var frames: [WireFrame] = []
    var at = 0
    while at < bytes.count {
      let length = bytes[at..<at + 3].reduce(0) { $0 << 8 | Int($1) }
      let stream = bytes[at + 5..<at + 9].reduce(0) { $0 << 8 | UInt32($1) }
      frames.append(
        WireFrame(
          type: bytes[at + 3], flags: bytes[at + 4], stream: stream, payload: Array(bytes[at + 9..<at + 9 + length])))
      at += 9 + length
    }
    return frames
  }
}

// MARK: - Frames of the tables

/// A request whose body is open, and one that is complete.
let openPost = frame(1, 4, 1, postBlock)
let wholeGet = frame(1, 5, 1, getBlock)

func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> [UInt8] { frame(8, 0, stream, word(increment)) }
func resetFrame(_ stream: UInt32) -> [UInt8] { frame(3, 0, stream, word(8)) }
func priorityFrame(_ stream: UInt32, dependsOn other: UInt32 = 0) -> [UInt8] { frame(2, 0, stream, word(other) + [15]) }
func setting(_ identifier: UInt8, _ value: UInt32) -> [UInt8] { frame(4, 0, 0, [0, identifier] + word(value)) }
func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
