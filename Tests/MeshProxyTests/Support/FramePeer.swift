import MeshHTTP

/// The server's side of one HTTP/2 connection frame by frame, so that a test may break any rule of the protocol.
///
/// Used by one thread.
final class FramePeer {
  struct Frame {
    var type: UInt8
    var flags: UInt8
    var stream: UInt32
    var payload: [UInt8]
  }

  struct Request {
    var stream: UInt32
    var path: String
    var endsStream: Bool
  }

  let peer: Peer
  private var decoder = HPACKDecoder()

  init(_ peer: Peer) { self.peer = peer }

  /// Reads the client's preface, so that what the kernel holds does not turn a close into a reset.
  func readPreface() throws {
    guard try peer.readText(24) == "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" else {
      throw SocketProblem(description: "no preface")
    }
  }

  func send(_ frames: [UInt8]...) throws { try peer.send(Array(frames.joined())) }

  func nextFrame() throws -> Frame {
    let head = try peer.read(9)
    let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
    let stream = head[5...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
    return Frame(type: head[3], flags: head[4], stream: stream, payload: length > 0 ? try peer.read(length) : [])
  }

  /// The next request head; SETTINGS on the way are acknowledged, all else is passed over.
  func request() throws -> Request {
    while true {
      let frame = try nextFrame()
      if frame.type == 4, frame.flags & 1 == 0 { try send(FramePeer.frame(4, 1, 0)) }
      guard frame.type == 1 else { continue }
      return Request(stream: frame.stream, path: path(frame.payload), endsStream: frame.flags & 1 != 0)
    }
  }

  /// Reads on until a frame of `type` comes.
  func frame(ofType type: UInt8) throws -> Frame {
    while true {
      let frame = try nextFrame()
      if frame.type == type { return frame }
    }
  }

  private func path(_ block: [UInt8]) -> String {
    var path = ""
    block.withUnsafeBytes { bytes in
      decoder.begin(bytes)
      while case .field(let field) = decoder.next() {
        if String(decoding: field.name, as: UTF8.self) == ":path" {
          path = String(decoding: field.value, as: UTF8.self)
        }
      }
    }
    return path
  }

  // MARK: - Frames

  static func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
    let n = payload.count
    return [UInt8(n >> 16 & 255), UInt8(n >> 8 & 255), UInt8(n & 255), type, flags] + word(stream) + payload
  }

  static func word(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

  static func settings(_ pairs: (UInt16, UInt32)...) -> [UInt8] {
    frame(4, 0, 0, pairs.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + word($0.1) })
  }

  static func reset(_ stream: UInt32, _ code: UInt32) -> [UInt8] { frame(3, 0, stream, word(code)) }
  static func goAway(_ last: UInt32, _ code: UInt32 = 0) -> [UInt8] { frame(7, 0, 0, word(last) + word(code)) }
  static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> [UInt8] { frame(8, 0, stream, word(increment)) }

  static func data(_ stream: UInt32, _ text: String, end: Bool = false) -> [UInt8] {
    frame(0, end ? 1 : 0, stream, Array(text.utf8))
  }

  /// HEADERS whose fields are literals without indexing.
  static func headers(_ stream: UInt32, end: Bool = false, _ fields: (String, String)...) -> [UInt8] {
    frame(1, end ? 5 : 4, stream, fields.flatMap { literal($0.0, $0.1) })
  }

  /// Names and values of up to 126 bytes.
  static func literal(_ name: String, _ value: String) -> [UInt8] {
    [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
  }
}
